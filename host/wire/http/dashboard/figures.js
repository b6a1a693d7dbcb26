// From counts to figures: rates between two readings, quantiles within buckets, words for numbers.

export const HITS = ["l1-hit", "store-hit", "stale", "negative"];
const ERRORS = ["policy-failed", "store-failed", "host-failed", "origin-failed"];
/** What the traffic chart stacks, bottom first. */
export const LAYERS = ["l1-hit", "store-hit", "stale", "negative", "miss", "change", "error"];
export const LABELS = {
  "l1-hit": "hit in memory",
  "store-hit": "hit in the store",
  stale: "stale",
  negative: "known absent",
  miss: "miss",
  change: "writes and others",
  error: "errors",
};

const sum = (counts) => Object.values(counts).reduce((all, n) => all + n, 0);

/** What happened between two readings of a domain. */
export function between(before, now, seconds) {
  const gone = (a = {}, b = {}) =>
    Object.fromEntries(Object.entries(b).map(([state, n]) => [state, Math.max(0, n - (a[state] ?? 0))]));
  const reads = gone(before?.reads, now.reads);
  const changes = gone(before?.changes, now.changes);
  const layers = Object.fromEntries(LAYERS.map((layer) => [layer, 0]));
  for (const [state, n] of Object.entries(reads)) {
    const layer = ERRORS.includes(state) ? "error" : state in layers ? state : "change";
    layers[layer] += n / seconds;
  }
  for (const [state, n] of Object.entries(changes)) {
    layers[ERRORS.includes(state) ? "error" : "change"] += n / seconds;
  }
  const hits = HITS.reduce((all, state) => all + (reads[state] ?? 0), 0);
  const asked = hits + (reads.miss ?? 0);
  return {
    per_second: (sum(reads) + sum(changes)) / seconds,
    errors: layers.error,
    hits,
    asked,
    layers,
    latency: now.latency.map((n, i) => Math.max(0, n - (before?.latency[i] ?? 0))),
  };
}

/** Several domains as one. */
export function together(all) {
  const whole = { per_second: 0, errors: 0, hits: 0, asked: 0, layers: {}, latency: [] };
  for (const layer of LAYERS) whole.layers[layer] = 0;
  for (const one of all) {
    whole.per_second += one.per_second;
    whole.errors += one.errors;
    whole.hits += one.hits;
    whole.asked += one.asked;
    for (const layer of LAYERS) whole.layers[layer] += one.layers[layer];
    one.latency.forEach((n, i) => (whole.latency[i] = (whole.latency[i] ?? 0) + n));
  }
  return whole;
}

export const hit_rate = (figures) => (figures.asked > 0 ? figures.hits / figures.asked : null);

/** Nanoseconds below which this share stayed, linear within a bucket, as Prometheus does it; nothing happened: null. */
export function quantile(counts, bounds, share) {
  const rank = share * counts.reduce((all, n) => all + n, 0);
  if (rank === 0) return null;
  let below = 0;
  for (let i = 0; i < bounds.length; i++) {
    if (counts[i] > 0 && below + counts[i] >= rank) {
      const lower = i === 0 ? 0 : bounds[i - 1];
      return lower + (bounds[i] - lower) * ((rank - below) / counts[i]);
    }
    below += counts[i];
  }
  return bounds.at(-1);
}

export function time(ns) {
  if (ns === null) return ["–", ""];
  if (ns < 1e3) return [ns.toFixed(0), "ns"];
  if (ns < 1e6) return [(ns / 1e3).toFixed(ns < 1e4 ? 1 : 0), "µs"];
  if (ns < 1e9) return [(ns / 1e6).toFixed(ns < 1e7 ? 1 : 0), "ms"];
  return [(ns / 1e9).toFixed(1), "s"];
}

export function number(n) {
  if (n === null) return "–";
  if (n >= 1e6) return `${(n / 1e6).toFixed(n < 1e7 ? 2 : 1)}M`;
  if (n >= 1e4) return `${(n / 1e3).toFixed(n < 1e5 ? 1 : 0)}k`;
  return n >= 100 || Number.isInteger(n) ? n.toFixed(0) : n.toFixed(1);
}

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) {
    n /= 1024;
    at += 1;
  }
  return [at === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1), units[at]];
}

export function percent(share) {
  if (share === null) return ["–", ""];
  return [share > 0.9995 && share < 1 ? "99.9" : (share * 100).toFixed(share === 1 || share === 0 ? 0 : 1), "%"];
}

export function lasted(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}
