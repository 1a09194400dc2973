// The timeline: its state, what can be done to it, and when it is drawn again.

import { OUTCOMES } from "./decode.js";
import { buildControls } from "./controls.js";
import { parseFilter } from "./filter.js";
import { listen } from "./gestures.js";
import { inspect, situation, spoken } from "./inspector.js";
import { readLink, writeLink } from "./link.js";
import { firstAfter } from "./lod.js";
import { Overview } from "./overview.js";
import { paint } from "./paint.js";
import { onSchemeChange, readPalette } from "./palette.js";
import { beginning } from "./state.js";

const GUTTER = 84;
const OF_VIOLATION = "is:violation";

export class Timeline {
  constructor(place, ops, report) {
    this.state = beginning(ops, report);
    this.steps = ops.order;
    this.page = buildControls(place, this);
    this.overview = new Overview(this.page.overview, this.state, () => this.moved());
    listen(this.page.surface, this.state, this);
    new ResizeObserver(() => this.resize()).observe(this.page.chart);
    onSchemeChange(() => this.resize());
    addEventListener("hashchange", () => this.follow(readLink(location.hash)));
    const link = readLink(location.hash);
    if (link.filter === null && this.state.shown.size > 0) link.filter = OF_VIOLATION;
    this.resize();
    this.showViolation();
    this.select(this.state.culprit);
    this.follow(link);
    // What is there before anybody has done anything needs neither an address nor an announcement.
    clearTimeout(this.linking);
    this.page.spoken.textContent = "";
  }

  // Goes where a link points.
  follow({ op, from, to, filter }) {
    if (filter !== null) this.filter(filter);
    if (from !== null) this.state.view.show(from, to);
    if (op !== null) this.select(this.state.ops.rowOf.get(op) ?? -1, from === null);
    this.moved();
  }

  showViolation() {
    const { shown, ops, lanes, view } = this.state;
    const rows = [...shown.keys()];
    if (rows.length === 0) return;
    const from = Math.min(...rows.map((i) => ops.from[i]));
    const to = Math.max(...rows.map((i) => (ops.to[i] < 0 ? ops.from[i] : lanes.end[i])));
    view.show(from - (to - from) * 0.08 - 1, to + (to - from) * 0.12 + 1);
    this.moved();
  }

  filter(text) {
    const { state, page } = this;
    page.filter.value = text;
    const parsed = parseFilter(text, { ...state, outcomes: OUTCOMES });
    page.filter.setAttribute("aria-invalid", String(Boolean(parsed.error)));
    page.problem.textContent = parsed.error ?? "";
    if (parsed.error) return;
    const matching = (list) => (parsed.test ? list.filter(parsed.test) : list);
    this.steps = matching(state.ops.order);
    state.emphasis = parsed.test && { lists: state.lanes.lists.map(matching), count: this.steps.length };
    this.moved();
  }

  select(i, reveal = false) {
    const { state, page } = this;
    state.selected = i;
    if (i >= 0 && reveal) state.view.reveal(state.ops.from[i], state.lanes.end[i]);
    inspect(page.inspector, state, i, this);
    page.spoken.textContent = i < 0 ? "" : spoken(state, i);
    this.moved();
  }

  hover(i) {
    if (i === this.state.hovered) return;
    this.state.hovered = i;
    inspect(this.page.inspector, this.state, i >= 0 ? i : this.state.selected, this);
    this.draw();
  }

  // To the next or previous of the operations that match, from the selected one or from what is in sight.
  step(by) {
    const { ops, selected, view } = this.state;
    const { steps } = this;
    if (steps.length === 0) return;
    const next = firstAfter(steps, ops.from, selected < 0 ? view.from : ops.from[selected]);
    const here = selected < 0 ? -1 : steps.indexOf(selected);
    const place = here >= 0 ? here + by : by > 0 && Number.isFinite(by) ? next : Math.min(next - 1, next + by);
    this.select(steps[Math.max(0, Math.min(steps.length - 1, place))], true);
  }

  // To the operation at about the same time in the next lane that has one.
  stepLane(by) {
    const { ops, selected, lanes, emphasis } = this.state;
    if (selected < 0) return this.step(by);
    const lists = emphasis?.lists ?? lanes.lists;
    for (let lane = lanes.of[selected] + by; lane >= 0 && lane < lists.length; lane += by) {
      const list = lists[lane];
      if (list.length === 0) continue;
      const after = firstAfter(list, ops.from, ops.from[selected]);
      return this.select(list[Math.max(0, after - 1)], true);
    }
  }

  zoomTo(i) {
    const { ops, lanes, view } = this.state;
    const span = lanes.end[i] - ops.from[i];
    view.show(ops.from[i] - span * 2, lanes.end[i] + span * 2);
    this.moved();
  }

  zoomToSelected() {
    if (this.state.selected >= 0) this.zoomTo(this.state.selected);
  }

  focusFilter() {
    this.page.filter.focus();
  }

  move(change) {
    change();
    this.moved();
  }

  // Draws again, and lets the address follow once things have come to rest.
  moved() {
    this.draw();
    clearTimeout(this.linking);
    this.linking = setTimeout(() => this.link(), 400);
  }

  link() {
    const { view, selected, ops, shown } = this.state;
    const filter = this.page.filter.value;
    const usual = shown.size > 0 ? OF_VIOLATION : "";
    const link = writeLink({
      op: selected < 0 ? null : ops.id[selected],
      from: view.isWhole ? null : view.from,
      to: view.isWhole ? null : view.to,
      filter: filter === usual ? null : filter,
    });
    history.replaceState(null, "", link || location.pathname + location.search);
  }

  resize() {
    const { state, page } = this;
    const ratio = devicePixelRatio || 1;
    const width = page.chart.clientWidth;
    // Out of sight there is nothing to draw on; coming into sight is another change of size.
    if (width === 0) return;
    state.palette = readPalette();
    state.view.left = GUTTER;
    state.view.width = Math.max(50, width - GUTTER);
    page.canvas.width = Math.round(width * ratio);
    page.canvas.height = Math.round(state.layout.height * ratio);
    page.canvas.style.height = `${state.layout.height}px`;
    this.ratio = ratio;
    this.overview.resize(width, ratio);
    this.draw();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (!this.state.palette) return;
      const c = this.page.canvas.getContext("2d");
      c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      const seen = paint(c, this.state);
      this.page.situation.textContent = situation(this.state, seen);
      this.overview.paint();
    });
  }
}
