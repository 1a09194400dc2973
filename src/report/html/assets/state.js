// What the timeline knows: the operations and where they go, the window, what is chosen.

import { assignLanes } from "./lanes.js";
import { layOut } from "./layout.js";
import { View } from "./view.js";

export function beginning(ops, report) {
  const lanes = assignLanes(ops, report);
  const { faults, leaders, timed } = report;
  const rows = Object.entries(report.shown).map(([id, part]) => [ops.rowOf.get(Number(id)), part]);
  let last = 1;
  for (let i = 0; i < ops.count; i++) last = Math.max(last, lanes.end[i]);
  return {
    ops,
    lanes,
    faults,
    leaders,
    timed,
    view: new View(ops.count > 0 ? ops.from[ops.order[0]] : 0, last),
    layout: layOut(lanes.lists.length, faults, leaders),
    shown: new Map(rows.filter(([i]) => i !== undefined)),
    culprit: ops.rowOf.get(report.culprit) ?? -1,
    emphasis: null,
    hovered: -1,
    selected: -1,
    palette: null,
  };
}
