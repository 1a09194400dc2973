// What of a lane is drawn at a zoom: bars where operations are wide enough, else a column of
// pixels for all that fall into it. A column shows the worst of them, never just the first.

const NARROWEST = 2.5;

// `list` holds rows by invocation. Operations of one lane follow each other, so that only the one
// that begins before the window may reach into it; bars that overlap are found while they begin in sight.
export function gather(list, ops, end, view, pixels) {
  const bars = [];
  const counts = new Uint32Array(pixels);
  const worst = new Uint8Array(pixels);
  const scale = view.width / view.span;
  let densest = 0;
  let total = 0;
  for (let k = Math.max(0, firstAfter(list, ops.from, view.from) - 1); k < list.length; k++) {
    const i = list[k];
    const from = ops.from[i];
    if (from > view.to) break;
    if (end[i] < view.from) continue;
    total++;
    if ((end[i] - from) * scale >= NARROWEST) {
      bars.push(i);
      continue;
    }
    const column = Math.min(pixels - 1, Math.max(0, Math.floor((from - view.from) * scale)));
    counts[column]++;
    if (counts[column] > densest) densest = counts[column];
    if (ops.outcome[i] > worst[column]) worst[column] = ops.outcome[i];
  }
  return { bars, counts, worst, densest, total };
}

// The place of the first row that begins after a time.
export function firstAfter(list, from, time) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (from[list[middle]] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

// The operation of a lane at a point of time, give or take; -1 if there is none.
export function nearest(list, ops, end, time, tolerance) {
  let best = -1;
  let distance = tolerance;
  const from = Math.max(0, firstAfter(list, ops.from, time - tolerance) - 1);
  for (let k = from; k < list.length && ops.from[list[k]] <= time + tolerance; k++) {
    const i = list[k];
    const away = Math.max(ops.from[i] - time, time - end[i], 0);
    if (away < distance || (away === distance && best < 0)) {
      best = i;
      distance = away;
    }
  }
  return best;
}
