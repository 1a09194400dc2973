// The window of time in sight, and how it maps to pixels.

const CLOSEST = 20;

export class View {
  constructor(first, last) {
    const margin = Math.max(1, (last - first) * 0.01);
    this.first = first - margin;
    this.last = last + margin;
    this.from = this.first;
    this.to = this.last;
    this.left = 0;
    this.width = 1;
  }

  get span() {
    return this.to - this.from;
  }

  get isWhole() {
    // Rounding may have cost a little.
    return this.span > (this.last - this.first) * (1 - 1e-9);
  }

  x(time) {
    return this.left + ((time - this.from) / this.span) * this.width;
  }

  time(x) {
    return this.from + ((x - this.left) / this.width) * this.span;
  }

  // Shows a stretch, but never more than there is, nor less than can be told apart.
  show(from, to) {
    const whole = this.last - this.first;
    const span = Math.min(whole, Math.max(to - from, Math.min(CLOSEST, whole)));
    const middle = (from + to) / 2;
    this.from = Math.max(this.first, Math.min(this.last - span, middle - span / 2));
    this.to = this.from + span;
  }

  showAll() {
    this.show(this.first, this.last);
  }

  // Zooms so that what is at `x` stays there.
  zoom(x, factor) {
    const span = Math.min(this.last - this.first, Math.max(CLOSEST, this.span * factor));
    const share = (x - this.left) / this.width;
    const from = this.time(x) - span * share;
    this.show(from, from + span);
  }

  pan(pixels) {
    const ticks = (pixels / this.width) * this.span;
    this.show(this.from + ticks, this.to + ticks);
  }

  // Moves just so far that a stretch is in sight.
  reveal(from, to) {
    const margin = this.span * 0.05;
    if (from >= this.from && Math.min(to, from + this.span - margin) <= this.to) return;
    const middle = (from + Math.min(to, from + this.span)) / 2;
    this.show(middle - this.span / 2, middle + this.span / 2);
  }

  // Round times, about a hundred pixels apart.
  ticks() {
    const least = (this.span * 110) / this.width;
    const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
    const step = power * [1, 2, 5, 10].find((times) => times * power >= least);
    const ticks = [];
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) ticks.push(at);
    return ticks;
  }
}
