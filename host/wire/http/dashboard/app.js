// The page's one loop: ask, remember the last two minutes, draw.

import { ask } from "./api.js";
import { legend, traffic } from "./charts.js";
import { find, notice, show } from "./dom.js";
import { between, together } from "./figures.js";
import { explain } from "./lookup.js";
import * as panels from "./panels.js";

const STEP_MS = 1000;
const SPAN_S = 120;
/** Figures of the moment are those of so many steps, so that a quiet host does not flicker. */
const RECENT_STEPS = 5;
const THEME = "larder-theme";
const THEMES = ["", "light", "dark"];

const world = { readings: [], status: null, policies: [], breakers: [], locks: { locks: [], complete: true }, hot: null, hot_unknown: false };
let paused = false;

async function maybe(path, otherwise) {
  try {
    return await ask(path);
  } catch (error) {
    if (error.status === undefined) throw error;
    return otherwise;
  }
}

/** An older host does not know them; it is not asked again. */
async function hot_keys() {
  if (world.hot_unknown) return null;
  try {
    return (await ask("/v1/hot-keys?count=15")).keys;
  } catch (error) {
    if (error.status === undefined) throw error;
    world.hot_unknown = error.status === 404;
    return null;
  }
}

async function listen() {
  const status = await ask("/v1/status");
  const restarted = world.status && status.uptime_ms < world.status.uptime_ms;
  if (restarted) world.readings = [];
  world.readings.push({ status, at: performance.now() });
  const oldest = performance.now() - (SPAN_S + 2) * 1000;
  world.readings = world.readings.filter(({ at }) => at >= oldest);
  world.status = status;
}

async function listen_to_the_rest() {
  const [policies, breakers, locks, hot] = await Promise.all([
    maybe("/v1/policies", { policies: [] }),
    maybe("/v1/breakers", { breakers: [] }),
    maybe("/v1/locks", { locks: [], complete: true }),
    hot_keys(),
  ]);
  Object.assign(world, { policies: policies.policies, breakers: breakers.breakers, locks, hot });
}

async function is_ready() {
  try {
    await ask("/readyz");
    pill("ready", "ready", "good");
  } catch (error) {
    pill("ready", error.status === undefined ? "unknown" : error.message, "bad");
  }
}

function pill(id, text, kind) {
  const element = find(id);
  element.className = `pill ${kind}`;
  show(element, text);
}

/** Figures between two readings: each domain's, and the whole. */
function figures(before, now) {
  const seconds = Math.max((now.at - before.at) / 1000, 0.001);
  const by_name = new Map(before.status.domains.map((it) => [it.domain, it]));
  const all = new Map(now.status.domains.map((it) => [it.domain, between(by_name.get(it.domain), it, seconds)]));
  return { all, whole: together([...all.values()]) };
}

function draw() {
  const { readings, status } = world;
  if (!status || paused) return;
  const now = readings.at(-1);
  const recent = figures(readings.at(-1 - Math.min(RECENT_STEPS, readings.length - 1)), now);
  const steps = readings.slice(1).map((reading, i) => ({
    ago_s: (now.at - reading.at) / 1000,
    figures: figures(readings[i], reading).whole,
  }));
  show(find("version"), status.version);
  panels.troubles(status.troubles);
  panels.tiles(status, recent.whole, steps.map((it) => it.figures));
  show(find("traffic"), traffic(steps.filter((it) => it.ago_s <= SPAN_S), SPAN_S, find("traffic").clientWidth));
  panels.domains(status, recent.all, world.policies, soon);
  panels.breakers(world.breakers, soon);
  panels.locks(world.locks);
  panels.hot_keys(world.hot);
}

/** After something was done: what it changed is to be seen at once. */
function soon() {
  listen_to_the_rest().then(draw, lost);
}

function lost(error) {
  pill("link", "no answer", "bad");
  notice(`The host does not answer (${error.message}). What you see is how it was.`);
}

async function step(count) {
  if (!document.hidden) {
    try {
      await listen();
      if (count % 2 === 0) await listen_to_the_rest();
      if (count % 5 === 0) await is_ready();
      if (find("link").textContent === "no answer") notice(null);
      pill("link", paused ? "paused" : "live", paused ? "warn" : "good");
      draw();
    } catch (error) {
      lost(error);
    }
  }
  setTimeout(() => step(count + 1), STEP_MS);
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem(THEME, name);
  show(find("theme"), name === "" ? "Theme: system" : `Theme: ${name}`);
}

find("theme").addEventListener("click", () => {
  theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "") + 1) % THEMES.length]);
});
find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", String(paused));
  show(find("pause"), paused ? "Go on" : "Pause");
  pill("link", paused ? "paused" : "live", paused ? "warn" : "good");
});
find("lookup").addEventListener("submit", (event) => {
  event.preventDefault();
  const domains = world.policies.map((it) => it.domain);
  explain(find("key").value, world.status?.separator ?? ":", domains);
});
theme(localStorage.getItem(THEME) ?? "");
show(find("legend"), legend());
step(0);
