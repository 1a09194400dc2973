// Draws the timeline: faults behind, lanes of operations, the violation in front.

import { paintLane, paintMarks } from "./bars.js";
import { instant } from "./format.js";
import { CHARACTER, FONT, writeText } from "./ink.js";
import { ROW } from "./layout.js";

// Draws a state and says how many operations the densest pixel stands for.
export function paint(c, state) {
  const { view, palette, layout, lanes } = state;
  c.font = FONT;
  c.textBaseline = "middle";
  c.clearRect(0, 0, view.left + view.width, layout.height);
  c.save();
  c.beginPath();
  c.rect(view.left, 0, view.width, layout.height);
  c.clip();
  bands(c, state);
  leaders(c, state);
  let densest = 0;
  let total = 0;
  for (let lane = 0; lane < lanes.lists.length; lane++) {
    c.globalAlpha = state.emphasis ? 0.4 : 1;
    const seen = paintLane(c, state, lane, lanes.lists[lane], false);
    densest = Math.max(densest, seen.densest);
    total += seen.total;
    c.globalAlpha = 1;
    if (state.emphasis) paintLane(c, state, lane, state.emphasis.lists[lane], true);
  }
  paintMarks(c, state);
  c.restore();
  frame(c, state, palette);
  return { densest, total };
}

function bands(c, { view, palette, layout, faults }) {
  faults.forEach((fault, k) => {
    const from = Math.max(view.left - 2, view.x(fault.from));
    const to = Math.min(view.left + view.width + 2, fault.to === null ? Infinity : view.x(fault.to));
    if (to < view.left || from > view.left + view.width) return;
    const y = layout.rows[k] * ROW;
    const width = Math.max(1, to - from);
    c.globalAlpha = fault.bit ? 0.14 : 0.05;
    c.fillStyle = palette.band;
    c.fillRect(from, y, width, layout.bottom - y);
    c.globalAlpha = fault.bit ? 0.3 : 0.12;
    c.fillStyle = palette.patterns[fault.pattern];
    c.fillRect(from, y, width, layout.bottom - y);
    c.globalAlpha = 1;
    const words = [fault.words, fault.done, fault.kind].find((words) => words.length * CHARACTER < width - 8);
    if (words) writeText(c, words, Math.max(from, view.left) + 4, y + ROW / 2, palette.ink, palette.paper);
  });
}

function leaders(c, { view, palette, layout, leaders }) {
  c.strokeStyle = palette.ink;
  c.lineWidth = 1;
  let free = -Infinity;
  for (const { at, node, term } of leaders) {
    const x = Math.round(view.x(at)) + 0.5;
    if (x < view.left || x > view.left + view.width) continue;
    c.globalAlpha = 0.6;
    c.setLineDash([2, 3]);
    c.beginPath();
    c.moveTo(x, layout.faultHeight + 2);
    c.lineTo(x, layout.bottom);
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
    const words = `${node} leads, term ${term}`;
    if (x < free) continue;
    writeText(c, words, x + 4, layout.faultHeight + ROW / 2 + 1, palette.ink, palette.paper);
    free = x + words.length * CHARACTER + 14;
  }
}

function frame(c, { view, layout, lanes, timed }, palette) {
  c.fillStyle = palette.muted;
  c.textAlign = "left";
  const every = Math.ceil(13 / layout.laneHeight);
  lanes.names.forEach((name, lane) => {
    if (lane % every === 0) c.fillText(name, 0, layout.top + (lane + 0.5) * layout.laneHeight);
  });
  c.strokeStyle = palette.line;
  c.lineWidth = 1;
  c.beginPath();
  c.moveTo(view.left, layout.bottom + 0.5);
  c.lineTo(view.left + view.width, layout.bottom + 0.5);
  c.textAlign = "center";
  for (const tick of view.ticks()) {
    const x = Math.round(view.x(tick)) + 0.5;
    c.moveTo(x, layout.bottom);
    c.lineTo(x, layout.bottom + 4);
    const words = instant(tick, timed, view.span);
    const half = (words.length * CHARACTER) / 2;
    if (x + half < view.left + view.width) c.fillText(words, x, layout.bottom + 13);
  }
  c.stroke();
  c.textAlign = "left";
}
