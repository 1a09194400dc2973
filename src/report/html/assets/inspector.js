// Everything about one operation, beside the timeline and in one spoken sentence.

import { OUTCOMES } from "./decode.js";
import { element } from "./dom.js";
import { count, duration, instant } from "./format.js";

const MEANING = {
  ok: "it happened",
  fail: "it certainly did not happen",
  info: "nobody knows: it may have happened at any later time, or never",
};

// Fills the panel for an operation, or says how to choose one. `act` carries out what it offers.
export function inspect(panel, state, i, act) {
  panel.replaceChildren(...(i < 0 ? legend() : details(state, i, act)));
}

function details(state, i, act) {
  const { ops, timed } = state;
  const outcome = OUTCOMES[ops.outcome[i]];
  const open = ops.to[i] < 0;
  const part = state.shown.get(i);
  const faults = state.faults.filter(
    (fault) => fault.from <= (open ? ops.from[i] : ops.to[i]) && ops.from[i] <= (fault.to ?? Infinity),
  );
  const rows = [
    ["Process", `${ops.process[i]} (${state.lanes.names[state.lanes.of[i]]})`],
    ["Node", ops.node(i)],
    ["Key", ops.key(i)],
    ["Function", ops.f(i)],
    ["Outcome", `${outcome}: ${MEANING[outcome]}`],
    ["Invoked", instant(ops.from[i], timed)],
    ["Returned", open ? "unknown" : instant(ops.to[i], timed)],
    ["Latency", open ? "" : duration(ops.to[i] - ops.from[i], timed)],
    ["Faults", faults.map((fault) => `${fault.words}${fault.bit ? "" : " (did not bite)"}`).join("; ")],
    ["Recorded", ops.line[i] > 0 ? `from line ${ops.line[i]} of history.jsonl` : ""],
  ];
  const list = element("dl", {});
  for (const [name, value] of rows) {
    if (value) list.append(element("dt", {}, name), element("dd", {}, value));
  }
  const button = (words, filter) => element("button", { type: "button", click: () => act.filter(filter) }, words);
  const more = [element("button", { type: "button", click: () => act.zoomTo(i) }, "Zoom to it")];
  if (ops.key(i) && !/[\s,]/.test(ops.key(i))) more.push(button("Same key", `key:${ops.key(i)}`));
  more.push(button("Same process", `p:${ops.process[i]}`));
  return [
    element("h3", {}, element("code", {}, ops.label[i])),
    ...(part === undefined ? [] : [element("p", { class: i === state.culprit ? "part culprit" : "part" }, part || "part of the minimal history")]),
    list,
    element("p", { class: "buttons" }, ...more),
  ];
}

function legend() {
  const item = (kind, words) => element("li", {}, element("i", { class: `key ${kind}` }), words);
  return [
    element("h3", {}, "No operation chosen"),
    element("p", {}, "Point at one or click it; arrow keys step through them."),
    element("ul", { class: "legend" },
      item("ok", "ok: it happened"),
      item("fail", "fail: it did not"),
      item("info", "info: nobody knows, it has no end"),
      item("culprit", "cannot be placed"),
      item("fault", "a fault stands"),
    ),
  ];
}

// The operation as a sentence, for the live region.
export function spoken(state, i) {
  const { ops, timed } = state;
  const took = ops.to[i] < 0 ? "end unknown" : `took ${duration(ops.to[i] - ops.from[i], timed)}`;
  const at = ops.node(i) ? ` at ${ops.node(i)}` : "";
  const key = ops.key(i) ? ` on ${ops.key(i)}` : "";
  const part = state.shown.get(i) ? `, ${state.shown.get(i)}` : "";
  return `${ops.label[i]}${key}, process ${ops.process[i]}${at}, ${OUTCOMES[ops.outcome[i]]}, ${instant(ops.from[i], timed, 1e5)}, ${took}${part}`;
}

// What is in sight, in words.
export function situation(state, seen) {
  const { view, timed, emphasis, ops } = state;
  const window = `${instant(view.from, timed, view.span)} to ${instant(view.to, timed, view.span)}`;
  const dense = seen.densest > 1 ? `, up to ${count(seen.densest)} in one pixel` : "";
  const matching = emphasis ? `${count(emphasis.count)} of ${count(ops.count)} match; ` : "";
  return `${matching}${count(seen.total)} operation${seen.total === 1 ? "" : "s"} from ${window}${dense}`;
}
