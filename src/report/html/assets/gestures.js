// Pointer, wheel and keys on the timeline, as what they mean to it.

import { nearest } from "./lod.js";

const GRAB = 4;

// The operation under a point: what is emphasised first, because it is drawn in front.
export function pick(state, x, y) {
  const { view, layout, lanes, ops, emphasis } = state;
  const lane = Math.floor((y - layout.top) / layout.laneHeight);
  if (lane < 0 || lane >= lanes.lists.length || x < view.left) return -1;
  const time = view.time(x);
  const tolerance = (GRAB / view.width) * view.span;
  const front = emphasis ? nearest(emphasis.lists[lane], ops, lanes.end, time, tolerance) : -1;
  return front >= 0 ? front : nearest(lanes.lists[lane], ops, lanes.end, time, tolerance);
}

export function listen(surface, state, act) {
  const { view } = state;
  let grabbed = null;
  let dragged = false;
  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    surface.setPointerCapture(event.pointerId);
    grabbed = event.offsetX;
    dragged = false;
  });
  surface.addEventListener("pointermove", (event) => {
    if (grabbed === null) return act.hover(pick(state, event.offsetX, event.offsetY));
    if (!dragged && Math.abs(event.offsetX - grabbed) < GRAB) return;
    dragged = true;
    surface.classList.add("dragging");
    act.move(() => view.pan(grabbed - event.offsetX));
    grabbed = event.offsetX;
  });
  const release = () => {
    grabbed = null;
    surface.classList.remove("dragging");
  };
  surface.addEventListener("pointerup", release);
  surface.addEventListener("pointercancel", release);
  surface.addEventListener("pointerleave", () => act.hover(-1));
  surface.addEventListener("click", (event) => {
    if (!dragged) act.select(pick(state, event.offsetX, event.offsetY));
  });
  surface.addEventListener("dblclick", () => act.move(() => view.showAll()));
  surface.addEventListener("wheel", (event) => wheel(event, view, act), { passive: false });
  surface.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = (event.shiftKey ? "Shift " : "") + event.key;
    const meaning = KEYS[key] ?? KEYS[event.key];
    if (!meaning) return;
    event.preventDefault();
    meaning(act, view);
  });
}

function wheel(event, view, act) {
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
  // With everything in sight the wheel has nothing to do here, and the page may scroll.
  if (view.isWhole && (sideways || event.deltaY > 0)) return;
  event.preventDefault();
  const pixels = event.deltaMode === 0 ? 1 : 20;
  if (sideways) act.move(() => view.pan(event.deltaX * pixels));
  else act.move(() => view.zoom(event.offsetX, Math.exp(event.deltaY * pixels * 0.0016)));
}

const middle = (view) => view.left + view.width / 2;
const zoomIn = (act, view) => act.move(() => view.zoom(middle(view), 0.7));
const zoomOut = (act, view) => act.move(() => view.zoom(middle(view), 1 / 0.7));

const KEYS = {
  ArrowRight: (act) => act.step(1),
  ArrowLeft: (act) => act.step(-1),
  ArrowDown: (act) => act.stepLane(1),
  ArrowUp: (act) => act.stepLane(-1),
  "Shift ArrowRight": (act, view) => act.move(() => view.pan(view.width * 0.2)),
  "Shift ArrowLeft": (act, view) => act.move(() => view.pan(view.width * -0.2)),
  Home: (act) => act.step(-Infinity),
  End: (act) => act.step(Infinity),
  "+": zoomIn,
  "=": zoomIn,
  "-": zoomOut,
  0: (act, view) => act.move(() => view.showAll()),
  Enter: (act) => act.zoomToSelected(),
  Escape: (act) => act.select(-1),
  "/": (act) => act.focusFilter(),
};
