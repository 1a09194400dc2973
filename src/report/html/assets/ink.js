// Words on a canvas.

export const FONT = "11px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
// The advance of a character, which makes measuring words a multiplication.
export const CHARACTER = 6.65;

// Words on a halo of paper, so that they can be read on anything.
export function writeText(c, words, x, y, ink, halo) {
  if (halo) {
    c.strokeStyle = halo;
    c.lineWidth = 3;
    c.lineJoin = "round";
    c.strokeText(words, x, y);
  }
  c.fillStyle = ink;
  c.fillText(words, x, y);
}
