// What is in sight as a fragment of the address, `#op=881&t=12.1-12.4&filter=key:x7`, so that it
// can be sent to somebody. Without scripts `#op=881` alone leads to the row of that operation.

const SEPARATOR = "..";

export function writeLink({ op, from, to, filter }) {
  const parts = new URLSearchParams();
  if (op !== null) parts.set("op", String(op));
  if (from !== null) parts.set("t", `${Math.round(from)}${SEPARATOR}${Math.round(to)}`);
  if (filter !== null) parts.set("filter", filter);
  const text = parts.toString();
  return text && `#${text}`;
}

export function readLink(hash) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (text) => (/^-?\d+$/.test(text ?? "") ? Number(text) : null);
  const [from, to] = (parts.get("t") ?? "").split(SEPARATOR).map(number);
  const whole = from !== null && from !== undefined && to > from;
  return {
    op: number(parts.get("op")),
    from: whole ? from : null,
    to: whole ? to : null,
    filter: parts.get("filter"),
  };
}
