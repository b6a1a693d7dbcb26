// Articles, `article:{id}`: fresh for ten minutes, then stale for one while a single caller refreshes them; drafts live
// shorter. The settings are explained in article.toml. Each entry carries the tags `articles` and `draft` or `published`.
//
// The host calls `describe` first, on each instance, and the other three whenever something changes.

import { log } from "larder:policy/log@0.1.0";

const DEFAULTS = {
  ttl: "10m",
  stale: "1m",
  draft_ttl: "10s",
  absent_ttl: "30s",
  size_max: "262144",
  collapse_wait: "1s",
};
const UNIT_MS = { ms: 1, "": 1_000, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

let settings;

/** A time such as `24h`, `5m`, `30s` or `500ms`, in milliseconds. */
function timeMs(name, text) {
  const [, count, unit] = /^(\d{1,12}) ?(ms|s|m|h|d|)$/.exec(text) ?? [];
  if (count === undefined) throw `the setting \`${name}\` is \`${text}\`; it must be a time such as \`24h\`, \`5m\` or \`500ms\``;
  return Number(count) * UNIT_MS[unit];
}

/** A whole number. */
function whole(name, text) {
  if (!/^\d{1,12}$/.test(text)) throw `the setting \`${name}\` is \`${text}\`; it must be a whole number`;
  return Number(text);
}

/** The settings, each read once; what nobody knows is a mistake in the file. */
function read(given) {
  const known = Object.keys(DEFAULTS);
  const unknown = given.find(([name]) => !known.includes(name));
  if (unknown) throw `there is no setting \`${unknown[0]}\`; there are ${known.join(", ")}`;
  const all = { ...DEFAULTS, ...Object.fromEntries(given) };
  return Object.fromEntries(known.map((name) => [name, (name === "size_max" ? whole : timeMs)(name, all[name])]));
}

/** Why a request is refused; null if it is not. */
function refusal({ key, operation }) {
  if (!/^[a-z0-9-]{1,64}$/.test(key)) {
    return { tag: "invalid-key", val: `\`${key}\` is not the id of an article: a-z, 0-9 and \`-\`, at most 64 of them` };
  }
  return operation === "update" ? { tag: "unsupported", val: "an article is replaced as a whole" } : null;
}

function plan() {
  return { suffix: null, miss: "load", collapseWaitMs: settings.collapse_wait };
}

function lifetime(key, askedMs) {
  const draft = key.startsWith("draft-");
  const freshMs = draft ? settings.draft_ttl : settings.ttl;
  return {
    freshMs: Math.min(freshMs, askedMs ?? freshMs),
    staleWhileRevalidateMs: draft ? 0 : settings.stale,
    staleIfErrorMs: draft ? 0 : settings.stale,
    keepMs: 0,
    maxStaleMs: draft ? 0 : null,
    earlyRefreshBeta: 0,
    jitterPercent: 0,
    l1Ms: null,
    sliding: false,
    listMax: null,
    compression: "automatic",
    weightPercent: 100,
    tags: ["articles", draft ? "draft" : "published"],
  };
}

export const rules = {
  describe(given) {
    settings = read(given);
    return {
      version: "1.0.0",
      keyVersion: "v1",
      keyScope: "domain",
      encoding: "enveloped",
      shapes: { value: true },
      wants: {},
      tickMs: null,
    };
  },

  plan(request) {
    const refused = refusal(request);
    if (refused) throw refused;
    return plan();
  },

  planBatch(requests) {
    return requests.map((request) => {
      const refused = refusal(request);
      return refused ? { tag: "err", val: refused } : { tag: "ok", val: plan() };
    });
  },

  admit(request, candidate) {
    const refused = refusal(request);
    if (refused) return { tag: "refuse", val: refused };
    if (candidate.originStatus === 404 || candidate.originStatus === 410) {
      return { tag: "absent", val: { freshMs: settings.absent_ttl, tags: ["articles"] } };
    }
    if (candidate.sizeBytes > settings.size_max) {
      const text = `the article has ${candidate.sizeBytes} bytes; ${settings.size_max} are allowed`;
      log("warn", `${request.key}: ${text}`);
      return { tag: "refuse", val: { tag: "invalid-value", val: text } };
    }
    return { tag: "store", val: lifetime(request.key, candidate.askedTtlMs) };
  },
};
