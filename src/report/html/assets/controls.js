// The elements around the timeline: filter, buttons, canvases, the panel for one operation.

import { element } from "./dom.js";

const EXAMPLE = "key:x1 f:read type:info lat>50ms during:cut";
const HELP =
  "Wheel zooms, dragging pans, double click shows everything. Keys: arrows step from operation to operation, " +
  "Shift with arrows pans, + and - zoom, 0 shows everything, Enter zooms to the chosen operation, / filters. " +
  "Filters: key: p: f: type: node: during: is: and lat> lat<, commas for or, ! for not; other words are looked for in the operations.";

export function buildControls(place, timeline) {
  const filter = element("input", {
    type: "search",
    id: "filter",
    placeholder: EXAMPLE,
    spellcheck: "false",
    autocomplete: "off",
    "aria-describedby": "problem",
    input: () => timeline.filter(filter.value),
  });
  const button = (words, click) => element("button", { type: "button", click }, words);
  const { view, shown } = timeline.state;
  const zoom = (factor) => () => timeline.move(() => view.zoom(view.left + view.width / 2, factor));
  const violation = () => {
    timeline.filter("is:violation");
    timeline.showViolation();
  };
  const problem = element("span", { id: "problem", role: "status" });
  const toolbar = element("div", { class: "toolbar" },
    element("label", { for: "filter" }, "Filter"),
    filter,
    problem,
    element("span", { class: "buttons" },
      ...(shown.size > 0 ? [button("Violation", violation)] : []),
      button("Whole run", () => timeline.move(() => view.showAll())),
      button("Zoom in", zoom(0.6)),
      button("Zoom out", zoom(1 / 0.6)),
    ),
  );
  const overview = element("canvas", { class: "overview", "aria-hidden": "true" });
  const canvas = element("canvas", { "aria-hidden": "true" });
  const surface = element("div", {
    class: "surface",
    tabindex: "0",
    role: "application",
    "aria-label": "Timeline of the run, a lane for each client",
    "aria-describedby": "help",
  }, canvas);
  const situation = element("p", { class: "situation" });
  const chart = element("div", { class: "chart" }, overview, surface, situation);
  const inspector = element("aside", { class: "inspector", "aria-label": "The chosen operation" });
  const spoken = element("p", { class: "spoken", "aria-live": "polite" });
  const help = element("p", { class: "help", id: "help" }, HELP);
  place.append(toolbar, element("div", { class: "stage" }, chart, inspector), help, spoken);
  return { filter, problem, overview, canvas, surface, situation, chart, inspector, spoken };
}
