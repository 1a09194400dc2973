// The operations out of the page: base64, gzip, JSON, and columns of differences (encode.rs).

export async function decode(base64) {
  const packed = new Blob([fromBase64(base64)]).stream();
  const json = new Response(packed.pipeThrough(new DecompressionStream("gzip")));
  return expand(JSON.parse(await json.text()));
}

function fromBase64(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// Columns as the timeline uses them: one entry per operation, names looked up on demand.
export function expand(columns) {
  const { took, process, f, key, node, outcome, label, functions, keys, nodes } = columns;
  const from = sums(columns.from);
  const ops = {
    count: from.length,
    id: sums(columns.id),
    line: sums(columns.line),
    from,
    // -1 where nobody knows.
    to: Float64Array.from(took, (ticks, i) => (ticks < 0 ? -1 : from[i] + ticks)),
    process: Float64Array.from(process),
    // 0 ok, 1 fail, 2 info: where several share a pixel, the greatest wins.
    outcome: Uint8Array.from(outcome, Number),
    label,
    f: (i) => functions[f[i]],
    key: (i) => keys[key[i]],
    node: (i) => nodes[node[i]],
  };
  // By invocation. Most histories are, but nothing promises it.
  ops.order = Int32Array.from(from, (_, i) => i).sort((a, b) => from[a] - from[b] || a - b);
  ops.rowOf = new Map();
  for (let i = 0; i < ops.count; i++) ops.rowOf.set(ops.id[i], i);
  return ops;
}

function sums(differences) {
  let sum = 0;
  return Float64Array.from(differences, (difference) => (sum += difference));
}

export const OUTCOMES = ["ok", "fail", "info"];
