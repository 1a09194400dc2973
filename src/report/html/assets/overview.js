// The strip above the timeline: the whole run as a histogram, and the window as a frame to drag.

const HEIGHT = 30;

export class Overview {
  constructor(canvas, state, changed) {
    this.canvas = canvas;
    this.state = state;
    this.picture = document.createElement("canvas");
    const move = (event) => {
      if (event.buttons !== 1) return;
      const { view } = state;
      const share = (event.offsetX - view.left) / view.width;
      const middle = view.first + share * (view.last - view.first);
      view.show(middle - view.span / 2, middle + view.span / 2);
      changed();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    canvas.addEventListener("pointermove", move);
  }

  // Draws what changes only with the size and the colours.
  resize(width, ratio) {
    for (const canvas of [this.canvas, this.picture]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(HEIGHT * ratio);
    }
    const c = this.picture.getContext("2d");
    c.scale(ratio, ratio);
    this.histogram(c);
    this.ratio = ratio;
  }

  histogram(c) {
    const { ops, view, palette, faults, culprit } = this.state;
    const pixels = Math.max(1, Math.floor(view.width));
    const scale = pixels / (view.last - view.first);
    const column = (time) => Math.floor((time - view.first) * scale);
    const counts = [0, 1, 2].map(() => new Uint32Array(pixels));
    for (let i = 0; i < ops.count; i++) counts[ops.outcome[i]][Math.min(pixels - 1, column(ops.from[i]))]++;
    let most = 1;
    for (let x = 0; x < pixels; x++) most = Math.max(most, counts[0][x] + counts[1][x] + counts[2][x]);
    c.fillStyle = palette.band;
    for (const fault of faults) {
      const from = column(fault.from);
      c.globalAlpha = fault.bit ? 0.25 : 0.1;
      c.fillRect(view.left + from, 0, Math.max(1, column(fault.to ?? view.last) - from), HEIGHT);
    }
    c.globalAlpha = 1;
    for (let x = 0; x < pixels; x++) {
      let y = HEIGHT;
      ["ok", "fail", "info"].forEach((style, outcome) => {
        // What is rare stays visible.
        const height = counts[outcome][x] && Math.max(1.5, (counts[outcome][x] / most) * (HEIGHT - 3));
        c.fillStyle = palette[style];
        c.fillRect(view.left + x, (y -= height), 1, height);
      });
    }
    if (culprit < 0) return;
    c.fillStyle = palette.culprit;
    const x = view.left + column(ops.from[culprit]);
    c.beginPath();
    c.moveTo(x - 5, 0);
    c.lineTo(x + 5, 0);
    c.lineTo(x, 9);
    c.fill();
  }

  paint() {
    const { view, palette } = this.state;
    const c = this.canvas.getContext("2d");
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, this.canvas.width, this.canvas.height);
    c.drawImage(this.picture, 0, 0);
    c.scale(this.ratio, this.ratio);
    const whole = view.last - view.first;
    const from = view.left + ((view.from - view.first) / whole) * view.width;
    const width = Math.max(3, (view.span / whole) * view.width);
    c.fillStyle = palette.paper;
    c.globalAlpha = 0.65;
    c.fillRect(view.left, 0, from - view.left, HEIGHT);
    c.fillRect(from + width, 0, view.left + view.width - from - width, HEIGHT);
    c.globalAlpha = 1;
    c.strokeStyle = palette.ink;
    c.strokeRect(from + 0.5, 0.5, width - 1, HEIGHT - 1);
  }
}
