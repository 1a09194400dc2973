// Where things are on the timeline: fault names on top, then new leaders, the lanes, the times.

export const ROW = 17;
export const AXIS = 22;
const MOST_ROWS = 3;

export function layOut(laneCount, faults, leaders) {
  const rows = faultRows(faults);
  const faultHeight = ROW * rows.reduce((most, row) => Math.max(most, row + 1), 0);
  const top = faultHeight + (leaders.length > 0 ? ROW : 0) + 4;
  const laneHeight = Math.max(8, Math.min(26, Math.floor(520 / Math.max(1, laneCount))));
  const bottom = top + laneCount * laneHeight;
  return { rows, faultHeight, top, laneHeight, bottom, height: bottom + AXIS };
}

// Faults that overlap get rows of their own; beyond the last row they share it.
function faultRows(faults) {
  const ends = [];
  return faults.map((fault) => {
    let row = ends.findIndex((end) => end <= fault.from);
    if (row < 0) row = Math.min(ends.length, MOST_ROWS - 1);
    ends[row] = Math.max(ends[row] ?? 0, fault.to ?? Infinity);
    return row;
  });
}
