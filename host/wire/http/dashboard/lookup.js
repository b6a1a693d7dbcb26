// Explains one key: what a read would get now, and why.

import { ask } from "./api.js";
import { find, h, show } from "./dom.js";
import { fact } from "./panels.js";

const ORDER = ["state", "from", "storage_key", "domain", "policy_version", "generation", "encoding", "on_miss"];

/** A key as the path of the interface wants it: the domain first, then the rest. */
function path(key, separator, domains) {
  const at = key.indexOf(separator);
  const first = at < 0 ? "" : key.slice(0, at);
  const [domain, rest] = domains.includes(first) ? [first, key.slice(at + 1)] : ["default", key];
  return `/v1/explain/${encodeURIComponent(domain)}/${rest.split("/").map(encodeURIComponent).join("/")}`;
}

function words(value) {
  if (value === null) return "–";
  if (Array.isArray(value)) return value.length > 0 ? value.join(", ") : "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export async function explain(key, separator, domains) {
  try {
    const explanation = await ask(path(key, separator, domains));
    const names = [...ORDER, ...Object.keys(explanation).filter((name) => !ORDER.includes(name))];
    const shown = names.filter((name) => name in explanation && words(explanation[name]) !== "–");
    const facts = shown.flatMap((name) => fact(name.replaceAll("_", " "), h("code", {}, words(explanation[name]))));
    show(find("explanation"), h("dl", {}, facts));
  } catch (error) {
    show(find("explanation"), h("p", { class: "error" }, error.message));
  }
}
