// Brings the page to life: unpacks the operations and puts the timeline in its place.

import { decode } from "./decode.js";
import { element } from "./dom.js";
import { Timeline } from "./timeline.js";

function offerCopy(code) {
  const button = element("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  });
  code.after(" ", button);
}

// The bars of the picture, and the rows of the table, choose operations on the timeline.
function connect(timeline, place) {
  for (const link of document.querySelectorAll("a.op")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const id = Number(link.getAttribute("href").replace("#op=", ""));
      timeline.select(timeline.state.ops.rowOf.get(id) ?? -1, true);
      place.scrollIntoView({ block: "nearest" });
    });
  }
}

async function start() {
  const place = document.getElementById("timeline");
  const note = place.querySelector(".needs-script");
  try {
    const report = JSON.parse(document.getElementById("report").textContent);
    const ops = await decode(document.getElementById("operations").textContent.trim());
    note.remove();
    if (ops.count === 0) place.append(element("p", {}, "There are no operations."));
    else connect(new Timeline(place, ops, report), place);
  } catch (error) {
    note.textContent = `The timeline cannot be shown in this browser: ${error.message}`;
    throw error;
  }
}

if (navigator.clipboard) offerCopy(document.getElementById("command"));
start();
