// The filter's small language: `key:x1,x2 f:read type:info lat>50ms during:cut !node:n3 text`.
// All terms must hold; a comma means "or", a `!` "not"; a bare word is looked for in the label.

const UNITS = { us: 1, "µs": 1, ms: 1e3, s: 1e6 };
export const FIELDS = "key, p, f, type, node, lat, during, is";

// A test on operations, or what is wrong with the text. `world` knows operations and faults.
export function parseFilter(text, world) {
  const tests = [];
  for (const word of text.trim().split(/\s+/).filter(Boolean)) {
    const not = word.startsWith("!");
    const test = parseTerm(not ? word.slice(1) : word, world);
    if (typeof test === "string") return { error: test };
    tests.push(not ? (i) => !test(i) : test);
  }
  return { test: tests.length === 0 ? null : (i) => tests.every((test) => test(i)) };
}

function parseTerm(term, world) {
  const { ops } = world;
  const latency = /^lat([<>])(\d+(?:\.\d+)?)(us|µs|ms|s)$/.exec(term);
  if (latency) {
    const limit = Number(latency[2]) * UNITS[latency[3]];
    const took = (i) => ops.to[i] - ops.from[i];
    return latency[1] === ">"
      ? (i) => ops.to[i] >= 0 && took(i) > limit
      : (i) => ops.to[i] >= 0 && took(i) < limit;
  }
  if (/^lat[<>:]/.test(term)) return "lat is written like lat>50ms or lat<2s";
  const parts = /^([a-z]+):(.+)$/s.exec(term);
  if (!parts) {
    const word = term.toLowerCase();
    return (i) => ops.label[i].toLowerCase().includes(word);
  }
  const values = parts[2].split(",");
  switch (parts[1]) {
    case "key":
      return (i) => values.includes(ops.key(i));
    case "p":
    case "process":
      return (i) => values.includes(String(ops.process[i]));
    case "f":
      return (i) => values.includes(ops.f(i));
    case "node":
      return (i) => values.includes(ops.node(i));
    case "type":
      return (i) => values.includes(world.outcomes[ops.outcome[i]]);
    case "is":
      return (i) => values.includes("violation") && world.shown.has(i);
    case "during":
      return during(values, world);
    default:
      return `there is no field ${parts[1]}; there are ${FIELDS}`;
  }
}

// Whether an operation was under way while such a fault stood, by kind or number; `fault` is any.
function during(values, { ops, faults }) {
  const wanted = faults.filter(
    (fault) => values.includes("fault") || values.includes(fault.kind) || values.includes(String(fault.id)),
  );
  return (i) => {
    const to = ops.to[i] < 0 ? Infinity : ops.to[i];
    return wanted.some((fault) => fault.from <= to && ops.from[i] <= (fault.to ?? Infinity));
  };
}
