// Draws operations: a lane of bars and columns, and what stands out among them.

import { CHARACTER, writeText } from "./ink.js";
import { gather } from "./lod.js";

const STYLES = ["ok", "fail", "info"];

// The operations of one lane. With `bold` they are never too narrow to be found.
export function paintLane(c, state, lane, list, bold) {
  const { view, palette, layout, ops, lanes } = state;
  const seen = gather(list, ops, lanes.end, view, Math.ceil(view.width));
  const y = layout.top + lane * layout.laneHeight + 3;
  const height = layout.laneHeight - 6;
  const alpha = c.globalAlpha;
  for (let x = 0; x < seen.counts.length; ) {
    const count = seen.counts[x];
    const worst = seen.worst[x];
    let next = x + 1;
    while (next < seen.counts.length && seen.counts[next] === count && seen.worst[next] === worst) next++;
    if (count > 0) {
      c.globalAlpha = alpha * Math.min(1, 0.5 + 0.17 * Math.log2(count + 1));
      c.fillStyle = palette[STYLES[worst]];
      c.fillRect(view.left + x - (bold ? 1 : 0), y, next - x + (bold ? 2 : 0), height);
    }
    x = next;
  }
  c.globalAlpha = alpha;
  for (const i of seen.bars) bar(c, state, i, y, height);
  return seen;
}

function bar(c, { view, palette, ops, lanes }, i, y, height) {
  const from = Math.max(view.left - 4, view.x(ops.from[i]));
  const to = Math.min(view.left + view.width + 4, view.x(lanes.end[i]));
  const width = Math.max(1.5, to - from - 0.75);
  const outcome = STYLES[ops.outcome[i]];
  if (outcome === "fail") {
    c.fillStyle = palette.hatch;
    c.fillRect(from, y, width, height);
    c.strokeStyle = palette.fail;
    c.lineWidth = 1;
    c.strokeRect(from + 0.5, y + 0.5, Math.max(0.5, width - 1), height - 1);
  } else {
    c.fillStyle = outcome === "info" && width > 12 ? fading(c, palette.info, from, width) : palette[outcome];
    c.fillRect(from, y, width, height);
  }
  const label = ops.label[i];
  if (height >= 11 && label.length * CHARACTER < (outcome === "info" ? width * 0.6 : width - 6)) {
    const ink = outcome === "fail" ? palette.ink : palette[`${outcome}-ink`];
    writeText(c, label, from + 4, y + height / 2 + 0.5, ink, outcome === "fail" ? palette.paper : null);
  }
}

function fading(c, colour, from, width) {
  const gradient = c.createLinearGradient(from, 0, from + width, 0);
  gradient.addColorStop(0.5, colour);
  gradient.addColorStop(1, "transparent");
  return gradient;
}

// Names of what is emphasised, as far as they find room, and outlines of the culprit and the selection.
export function paintMarks(c, state) {
  const { emphasis, culprit, hovered, selected, palette } = state;
  if (emphasis && emphasis.count <= 60) callouts(c, state);
  if (culprit >= 0) outline(c, state, culprit, palette.culprit, true);
  for (const i of [hovered, selected]) if (i >= 0) outline(c, state, i, palette.ink, false);
}

// Behind the bar, or before it where the edge is near; not at all if a neighbour is.
function callouts(c, { view, palette, layout, ops, lanes, emphasis, culprit }) {
  if (layout.laneHeight < 15) return;
  emphasis.lists.forEach((list, lane) => {
    const y = layout.top + (lane + 0.5) * layout.laneHeight + 0.5;
    list.forEach((i, k) => {
      const [from, to] = [view.x(ops.from[i]), view.x(lanes.end[i])];
      const words = i === culprit ? `${ops.label[i]}: cannot be placed` : ops.label[i];
      const width = words.length * CHARACTER;
      if (to - from > ops.label[i].length * CHARACTER || to < view.left || from > view.left + view.width) return;
      const before = k > 0 ? view.x(lanes.end[list[k - 1]]) : view.left;
      const after = k + 1 < list.length ? view.x(ops.from[list[k + 1]]) : view.left + view.width;
      const x = to + 6 + width < after ? to + 6 : from - 6 - width;
      if (x > before) writeText(c, words, x, y, i === culprit ? palette.culprit : palette.ink, palette.paper);
    });
  });
}

function outline(c, { view, layout, ops, lanes }, i, colour, thick) {
  const middle = (view.x(ops.from[i]) + view.x(lanes.end[i])) / 2;
  const width = Math.max(thick ? 7 : 5, view.x(lanes.end[i]) - view.x(ops.from[i]) + 3);
  const y = layout.top + lanes.of[i] * layout.laneHeight + 1;
  c.strokeStyle = colour;
  c.lineWidth = thick ? 2.5 : 1.5;
  c.strokeRect(middle - width / 2, y + 0.5, width, layout.laneHeight - 3);
}
