// Which operation is drawn in which lane. A client that is not sure of an operation goes on as a
// new process, `stride` further on; all processes of one client share its lane.

export function assignLanes(ops, report) {
  const { stride, finalReaders } = report;
  const client = (process) => (process >= finalReaders ? Infinity : process % stride);
  const clients = [...new Set(Array.from(ops.process, client))].sort((a, b) => a - b);
  const number = new Map(clients.map((client, lane) => [client, lane]));
  const of = new Uint16Array(ops.count);
  const lists = clients.map(() => []);
  for (const i of ops.order) {
    of[i] = number.get(client(ops.process[i]));
    lists[of[i]].push(i);
  }
  const names = clients.map((client) => (client === Infinity ? "final reads" : `client ${client}`));
  return { of, names, lists: lists.map((list) => Int32Array.from(list)), end: ends(ops, lists) };
}

// Where each bar ends. One without a known end is open, and drawn up to the lane's next operation.
function ends(ops, lists) {
  let last = 0;
  for (let i = 0; i < ops.count; i++) last = Math.max(last, ops.from[i], ops.to[i]);
  const end = Float64Array.from(ops.to);
  for (const list of lists) {
    for (let k = 0; k < list.length; k++) {
      if (ops.to[list[k]] < 0) end[list[k]] = k + 1 < list.length ? ops.from[list[k + 1]] : last;
    }
  }
  return end;
}
