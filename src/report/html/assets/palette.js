// The style sheet's colours, for canvases; read again when the scheme changes between light and dark.

const NAMES = ["paper", "ink", "muted", "line", "ok", "ok-ink", "fail", "info", "info-ink", "culprit", "culprit-ink", "band"];

export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const colours = {};
  for (const name of NAMES) colours[name] = style.getPropertyValue(`--${name}`).trim();
  return { ...colours, patterns: PATTERNS.map((draw) => tile(draw, colours.band)), hatch: tile(hatch, colours.fail) };
}

// Also on the way to paper, which is always light.
export function onSchemeChange(then) {
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", then);
}

// The patterns of kinds of fault, in the order of bands.rs.
const PATTERNS = [
  (c) => lines(c, [[-2, 10, 10, -2], [6, 14, 14, 6]]),
  (c) => lines(c, [[0, 4, 12, 4], [4, 0, 4, 12]]),
  (c) => lines(c, [[-2, 2, 10, 14], [6, -2, 14, 6]]),
  (c) => {
    c.beginPath();
    for (const at of [3, 9]) c.arc(at, at, 1.2, 0, 7);
    c.fill();
  },
];

function hatch(c) {
  c.lineWidth = 1.5;
  lines(c, [[-2, 4, 4, -2], [-2, 10, 10, -2], [0, 14, 14, 0], [6, 14, 14, 6]]);
}

function lines(c, segments) {
  c.beginPath();
  for (const [x1, y1, x2, y2] of segments) {
    c.moveTo(x1, y1);
    c.lineTo(x2, y2);
  }
  c.stroke();
}

function tile(draw, colour) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 12;
  const c = canvas.getContext("2d");
  c.strokeStyle = c.fillStyle = colour;
  draw(c);
  return c.createPattern(canvas, "repeat");
}
