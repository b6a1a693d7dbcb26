// The parts of the page, drawn from what was last heard.

import { ask } from "./api.js";
import { bar, sparkline } from "./charts.js";
import { confirm, find, h, notice, show } from "./dom.js";
import { bytes, hit_rate, lasted, number, percent, quantile, time } from "./figures.js";

const STATE_PILL = { live: "good", "rolled-back": "warn", rejected: "warn", quarantined: "warn", failing: "bad" };
const open_domains = new Set();

const pill = (text, kind = "") => h("span", { class: `pill ${kind}` }, text);

/** Does something for an operator, and says so if the host will not. */
export async function act(path, method, body, after) {
  try {
    await ask(path, method, body);
    notice(null);
  } catch (error) {
    notice(`${method} ${path}: ${error.message}`);
  }
  after();
}

function tile(name, [value, unit], values, note) {
  return h(
    "div",
    { class: "tile" },
    h("span", { class: "faint" }, name),
    h("span", { class: "value" }, value, h("span", { class: "unit" }, unit)),
    note ? h("span", { class: "faint" }, note) : null,
    values ? sparkline(values, `${name} in the last minutes`) : null,
  );
}

/** The row at the top. */
export function tiles(status, recent, series) {
  const bounds = status.latency_bounds_ns;
  const l1 = bytes(status.l1.bytes);
  const room = status.l1.bytes_max > 0 ? `of ${bytes(status.l1.bytes_max).join(" ")}, ${number(status.l1.entries)} entries` : "turned off";
  const at = (share) => time(quantile(recent.latency, bounds, share)).join(" ");
  show(find("tiles"), [
    tile("Answers", [number(recent.per_second), "/s"], series.map((it) => it.per_second)),
    tile("Hit rate", percent(hit_rate(recent)), series.map(hit_rate)),
    tile("Time, 99 of 100 under", time(quantile(recent.latency, bounds, 0.99)), series.map((it) => quantile(it.latency, bounds, 0.99)), `half under ${at(0.5)}`),
    tile("Errors", [number(recent.errors), "/s"], series.map((it) => it.errors)),
    tile("Memory (L1)", l1, null, room),
    tile("Connections", [number(status.connections.resp), "RESP"], null, `${number(status.connections.http)} over HTTP; up ${lasted(status.uptime_ms)}`),
  ]);
}

/** Domains with their traffic and their policies. */
export function domains(status, figures, policies, again) {
  const names = [...new Set([...policies.map((it) => it.domain), ...status.domains.map((it) => it.domain)])].sort();
  if (names.length === 0) {
    show(find("domains"), h("p", { class: "empty" }, "No policy is loaded: put a component into the folder of policies."));
    return;
  }
  const head = h(
    "tr",
    {},
    h("th", {}, "domain"),
    h("th", { class: "number" }, "answers/s"),
    h("th", { class: "number" }, "hits"),
    h("th", { class: "optional" }, "what readers got"),
    h("th", { class: "number optional" }, "p99"),
    h("th", {}, "policy"),
    h("th", { class: "optional" }, "version"),
    h("th", { class: "number optional" }, "generation"),
  );
  const rows = names.flatMap((name) => {
    const policy = policies.find((it) => it.domain === name);
    const row = domain_row(name, figures.get(name), policy, status.latency_bounds_ns, again);
    return open_domains.has(name) && policy ? [row, detail_row(policy, again)] : [row];
  });
  // A click between two drawings must not lose the focus that it gave.
  const focused = document.activeElement?.id;
  show(find("domains"), h("table", {}, h("thead", {}, head), h("tbody", {}, rows)));
  if (focused?.startsWith("domain-")) find(focused)?.focus();
}

function domain_row(name, figures, policy, bounds, again) {
  const toggle = () => {
    if (!open_domains.delete(name)) open_domains.add(name);
    again();
  };
  const button = h("button", { type: "button", class: "link", id: `domain-${name}`, "aria-expanded": String(open_domains.has(name)), onclick: toggle }, name);
  const state = policy?.state ?? "none";
  return h(
    "tr",
    {},
    h("td", {}, button),
    h("td", { class: "number" }, figures ? number(figures.per_second) : "–"),
    h("td", { class: "number" }, figures ? percent(hit_rate(figures)).join(" ") : "–"),
    h("td", { class: "optional" }, figures ? bar(figures.layers) : null),
    h("td", { class: "number optional" }, figures ? time(quantile(figures.latency, bounds, 0.99)).join(" ") : "–"),
    h("td", {}, pill(state, STATE_PILL[state])),
    h("td", { class: "optional" }, policy?.version ?? ""),
    h("td", { class: "number optional" }, policy ? String(policy.generation) : ""),
  );
}

function detail_row(policy, again) {
  const roll_back = async () => {
    const text = `The policy of '${policy.domain}' goes back to the one before (${policy.previous[0].slice(0, 12)}…). What is cached stays and is judged anew.`;
    if (await confirm("Roll back?", text, "Roll back")) {
      await act(`/v1/policies/${encodeURIComponent(policy.domain)}/rollback`, "POST", undefined, again);
    }
  };
  const unquarantine = () => act(`/v1/policies/${encodeURIComponent(policy.domain)}/quarantine`, "DELETE", undefined, again);
  const facts = h("dl", {}, [
    ...fact("component", h("code", {}, policy.digest || "none")),
    ...fact("size", `${bytes(policy.size_bytes).join(" ")}, loaded in ${policy.load_ms} ms`),
    ...fact("serves since", policy.live_since_ms ? new Date(policy.live_since_ms).toLocaleString() : "never"),
    ...fact("keys", `${policy.key_version}, ${policy.encoding}`),
    ...(policy.last_error ? fact("last error", h("span", { class: "error" }, policy.last_error)) : []),
  ]);
  const history = h(
    "ol",
    { class: "history" },
    policy.history.map((it) => h("li", {}, h("span", { class: "faint" }, `${new Date(it.at_ms).toLocaleTimeString()} `), h("strong", {}, it.event), ` ${it.detail}`)),
  );
  const buttons = h(
    "div",
    { class: "row" },
    h("button", { type: "button", id: `rollback-${policy.domain}`, onclick: roll_back, disabled: policy.previous.length === 0 }, "Roll back"),
    policy.quarantined.length > 0 ? h("button", { type: "button", onclick: unquarantine }, "Clear the quarantine") : null,
    policy.previous.length === 0 ? h("span", { class: "faint" }, "nothing to go back to") : null,
  );
  return h("tr", { class: "detail" }, h("td", { colspan: "8" }, facts, history, buttons));
}

export const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];

const BREAKER_PILL = { closed: "good", "forced-closed": "warn", "metrics-only": "warn", "half-open": "warn", open: "bad", "forced-open": "bad" };
const MODES = { auto: "leave to itself", open: "force open", closed: "force closed", "metrics-only": "only count" };

/** What is wrong, in the host's words. */
export function troubles(all) {
  find("troubles").hidden = all.length === 0;
  show(find("troubles"), all.map((it) => h("li", {}, it)));
}

/** Circuit breakers, and what an operator may force. */
export function breakers(all, again) {
  const one = (it) => {
    const force = (mode) => async () => {
      const text = mode === "auto" ? `'${it.name}' decides by itself again.` : `'${it.name}' does not decide any more: it is set to "${MODES[mode]}" until somebody leaves it to itself again.`;
      if (await confirm("Change the breaker?", text, MODES[mode])) {
        await act(`/v1/breakers/${encodeURIComponent(it.name)}`, "POST", { mode }, again);
      }
    };
    const words = `${number(it.calls)} calls, ${number(it.failures)} failed, ${number(it.slow)} slow` + (it.retry_in_ms === null ? "" : `; tries again in ${lasted(it.retry_in_ms)}`) + (it.last_failure === null || it.state === "closed" ? "" : `; the latest: ${it.last_failure}`);
    return h(
      "div",
      { class: "breaker" },
      h("div", { class: "row" }, h("strong", {}, it.name), pill(it.state, BREAKER_PILL[it.state])),
      h("div", { class: "faint" }, words),
      h("div", { class: "row" }, Object.keys(MODES).filter((mode) => mode !== it.mode).map((mode) => h("button", { type: "button", "data-mode": mode, onclick: force(mode) }, MODES[mode]))),
    );
  };
  show(find("breakers"), all.length > 0 ? all.map(one) : h("p", { class: "empty" }, "There is none."));
}

/** Locks that are held now. */
export function locks({ locks: held, complete }) {
  if (held.length === 0) {
    show(find("locks"), h("p", { class: "empty" }, "Nobody holds one."));
    return;
  }
  const rows = held.slice(0, 50).map((it) =>
    h("tr", {}, h("td", {}, h("code", {}, it.name)), h("td", {}, it.owner), h("td", { class: "number" }, lasted(it.ttl_ms))),
  );
  const head = h("tr", {}, h("th", {}, "name"), h("th", {}, "holder"), h("th", { class: "number" }, "left"));
  const more = held.length > 50 || !complete ? h("p", { class: "faint" }, "There are more.") : null;
  show(find("locks"), h("table", {}, h("thead", {}, head), h("tbody", {}, rows)), more);
}

/** Keys that are read most; `null`: the host does not say. */
export function hot_keys(all) {
  if (!all || all.length === 0) {
    show(find("hot"), h("p", { class: "empty" }, all ? "No key stands out." : "This host does not count them."));
    return;
  }
  const most = Math.max(...all.map((it) => it.reads), 1);
  const row = (it) => {
    const part = h("i", { class: "s-l1-hit" });
    part.style.width = `${(it.reads / most) * 100}%`;
    return h("tr", {}, h("td", {}, h("code", {}, it.key)), h("td", {}, h("div", { class: "bar" }, part)), h("td", { class: "number" }, number(it.reads)));
  };
  show(find("hot"), h("table", {}, h("tbody", {}, all.map(row))));
}
