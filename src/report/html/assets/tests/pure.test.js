// The modules that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { decode, expand, OUTCOMES } from "../decode.js";
import { parseFilter } from "../filter.js";
import { count, duration, instant } from "../format.js";
import { assignLanes } from "../lanes.js";
import { layOut } from "../layout.js";
import { readLink, writeLink } from "../link.js";
import { firstAfter, gather, nearest } from "../lod.js";
import { View } from "../view.js";

const REPORT = { stride: 2, finalReaders: 2 ** 32 };

// write 1 (client 0) · read (client 1, open) · cas (client 1 as process 3) · final read
const COLUMNS = {
  id: [0, 1, 1, 1],
  from: [1000, 500, 2500, 6000],
  took: [2000, -1, 1000, 500],
  process: [0, 1, 3, 2 ** 32 + 1],
  f: [0, 1, 2, 1],
  key: [1, 1, 2, 0],
  node: [1, 2, 2, 1],
  outcome: "0210",
  label: ["write 1", "read", "cas 1 -> 2", "read -> </script>"],
  line: [1, 1, 2, 2],
  functions: ["write", "read", "cas"],
  keys: ["", "x1", "x2"],
  nodes: ["", "n1", "n2"],
};

const world = (ops) => ({
  ops,
  outcomes: OUTCOMES,
  shown: new Map([[2, "newer"]]),
  faults: [
    { id: 1, kind: "cut", from: 0, to: 1200 },
    { id: 2, kind: "kill", from: 4500, to: null },
  ],
});

test("operations come out as they went in", async () => {
  const ops = await decode(gzipSync(JSON.stringify(COLUMNS)).toString("base64"));
  assert.equal(ops.count, 4);
  assert.deepEqual([...ops.from], [1000, 1500, 4000, 10000]);
  assert.deepEqual([...ops.to], [3000, -1, 5000, 10500]);
  assert.deepEqual([...ops.id], [0, 1, 2, 3]);
  assert.deepEqual([...ops.line], [1, 2, 4, 6]);
  assert.deepEqual([ops.f(2), ops.key(2), ops.node(2), ops.label[3]], ["cas", "x2", "n2", "read -> </script>"]);
  assert.equal(OUTCOMES[ops.outcome[1]], "info");
  assert.equal(ops.rowOf.get(3), 3);
});

test("operations are put in the order of invocation", () => {
  const ops = expand({ ...COLUMNS, from: [1000, -500, 100, 0] });
  assert.deepEqual([...ops.order], [1, 2, 3, 0]);
});

test("a client keeps its lane as it changes its process", () => {
  const ops = expand(COLUMNS);
  const lanes = assignLanes(ops, REPORT);
  assert.deepEqual(lanes.names, ["client 0", "client 1", "final reads"]);
  assert.deepEqual([...lanes.of], [0, 1, 1, 2]);
  assert.deepEqual(lanes.lists.map((list) => [...list]), [[0], [1, 2], [3]]);
  assert.deepEqual([...lanes.end], [3000, 4000, 5000, 10500]);
});

test("filters", () => {
  const ops = expand(COLUMNS);
  const rows = (text) => {
    const { test, error } = parseFilter(text, world(ops));
    assert.equal(error, undefined, text);
    return [0, 1, 2, 3].filter(test);
  };
  assert.equal(parseFilter("  ", world(ops)).test, null);
  assert.deepEqual(rows("key:x1"), [0, 1]);
  assert.deepEqual(rows("key:x1,x2 !f:read"), [0, 2]);
  assert.deepEqual(rows("p:3"), [2]);
  assert.deepEqual(rows("process:0,4294967297"), [0, 3]);
  assert.deepEqual(rows("type:info"), [1]);
  assert.deepEqual(rows("node:n2"), [1, 2]);
  assert.deepEqual(rows("lat>1.5ms"), [0]);
  assert.deepEqual(rows("lat<1.5ms"), [2, 3]);
  assert.deepEqual(rows("!lat>1ms"), [1, 2, 3]);
  assert.deepEqual(rows("during:cut"), [0]);
  assert.deepEqual(rows("during:2"), [1, 2, 3]);
  assert.deepEqual(rows("during:fault"), [0, 1, 2, 3]);
  assert.deepEqual(rows("is:violation"), [2]);
  assert.deepEqual(rows("READ"), [1, 3]);
  assert.deepEqual(rows("->"), [2, 3]);
  assert.match(parseFilter("colour:red", world(ops)).error, /no field colour; there are key,/);
  assert.match(parseFilter("lat>soon", world(ops)).error, /lat>50ms/);
});

test("the window stays within the run and zooms about the pointer", () => {
  const view = new View(0, 1_000_000);
  view.left = 100;
  view.width = 1000;
  assert.ok(view.isWhole);
  const before = view.time(350);
  view.zoom(350, 0.1);
  assert.ok(Math.abs(view.time(350) - before) < 1e-6);
  assert.ok(!view.isWhole);
  view.pan(-1e9);
  assert.equal(view.from, view.first);
  view.zoom(600, 1e9);
  assert.ok(view.isWhole);
  for (let i = 0; i < 100; i++) view.zoom(100, 0.5);
  assert.ok(view.span >= 20);
  view.showAll();
  view.show(400, 300);
  assert.ok(view.from < view.to);
  view.show(0, 10_000);
  view.reveal(900_000, 900_100);
  assert.ok(view.from <= 900_000 && view.to >= 900_100);
});

test("ticks are round and not too many", () => {
  const view = new View(0, 30_000_000);
  view.width = 1100;
  assert.ok(view.ticks().every((tick) => tick % 1_000_000 === 0));
  assert.ok(view.ticks().length >= 5 && view.ticks().length <= 11);
});

test("a pixel shows the worst of what falls into it, and counts all", () => {
  const count = 1000;
  const zeros = () => Array.from({ length: count }, () => 0);
  const ops = expand({
    ...COLUMNS, id: zeros(), from: zeros().map(() => 10), took: zeros().map(() => 5), process: zeros(), f: zeros(),
    key: zeros(), node: zeros(), line: zeros(), label: zeros(), outcome: "0".repeat(700) + "2" + "0".repeat(299),
  });
  const lanes = assignLanes(ops, REPORT);
  const view = new View(0, 10_010);
  view.width = 100;
  const seen = gather(lanes.lists[0], ops, lanes.end, view, 100);
  assert.equal(seen.total, count);
  assert.equal(seen.counts.reduce((sum, n) => sum + n, 0) + seen.bars.length, count);
  assert.deepEqual([...seen.worst].filter((outcome) => outcome > 0), [2]);
  assert.ok(seen.densest >= 9);
  view.show(5_000, 5_100);
  const close = gather(lanes.lists[0], ops, lanes.end, view, 100);
  assert.equal(close.densest, 0);
  assert.ok(close.bars.length >= 10 && close.bars.length <= 12);
});

test("the operation under the pointer", () => {
  const ops = expand(COLUMNS);
  const lanes = assignLanes(ops, REPORT);
  const at = (lane, time, tolerance) => nearest(lanes.lists[lane], ops, lanes.end, time, tolerance);
  assert.equal(at(0, 2000, 0), 0);
  assert.equal(at(0, 3400, 300), -1);
  assert.equal(at(0, 3400, 500), 0);
  assert.equal(at(1, 3000, 10), 1);
  assert.equal(at(1, 4500, 10), 2);
  assert.equal(firstAfter(lanes.lists[1], ops.from, 1500), 1);
});

test("links lead back to where they were made", () => {
  const place = { op: 12, from: 1_200_000, to: 1_300_000, filter: "key:x7 !f:read" };
  assert.deepEqual(readLink(writeLink(place)), place);
  const nowhere = { op: null, from: null, to: null, filter: null };
  assert.equal(writeLink(nowhere), "");
  assert.deepEqual(readLink(""), nowhere);
  assert.deepEqual(readLink("#op=x&t=5..1&filter"), { ...nowhere, filter: "" });
});

test("faults that overlap get rows of their own", () => {
  const faults = [{ from: 0, to: 10 }, { from: 5, to: 6 }, { from: 10, to: null }];
  assert.deepEqual(layOut(3, faults, []).rows, [0, 1, 0]);
  assert.ok(layOut(200, [], []).laneHeight >= 8);
});

test("numbers read well", () => {
  assert.equal(count(1234567), "1,234,567");
  assert.equal(instant(4_102_400, true), "4.102400 s");
  assert.equal(instant(4_102_400, true, 30_000_000), "4 s");
  assert.equal(instant(4_102_400, true, 5_000), "4.102 s");
  assert.equal(instant(17, false), "#17");
  assert.deepEqual([90, 3140, 1_204_000].map((ticks) => duration(ticks, true)), ["90 µs", "3.1 ms", "1.20 s"]);
});
