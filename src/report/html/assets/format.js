// How numbers are written. Times are ticks: microseconds, or ranks where no times were recorded.

// A point in time, with as many digits as a window of `span` ticks calls for.
export function instant(ticks, timed, span = 0) {
  if (!timed) return `#${Math.round(ticks)}`;
  const digits = Math.min(6, Math.max(0, Math.ceil(6.5 - Math.log10(Math.max(1, span)))));
  return `${Math.max(0, ticks / 1e6).toFixed(span > 0 ? digits : 6)} s`;
}

// A span of time in the unit that suits it.
export function duration(ticks, timed) {
  if (!timed) return `${Math.round(ticks)} events`;
  if (ticks < 1e3) return `${Math.round(ticks)} µs`;
  if (ticks < 1e6) return `${(ticks / 1e3).toFixed(1)} ms`;
  return `${(ticks / 1e6).toFixed(2)} s`;
}

// A count with its thousands apart.
export function count(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}
