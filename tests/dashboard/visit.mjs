// Visits the dashboard with a headless Chromium and does what an operator does; prints what it saw as JSON.
//
// node visit.mjs URL BROWSER FOLDER: FOLDER gets the pictures.

import { createRequire } from "node:module";
import { join } from "node:path";

const [url, executablePath, folder] = process.argv.slice(2);
const { chromium } = createRequire(join(process.env.TOOLS, "node_modules", "/"))("playwright-core");
const PATIENCE_MS = 60_000;
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const browser = await chromium.launch({ executablePath, args: QUIET, timeout: PATIENCE_MS });
const seen = { errors: [], foreign: [] };

async function open(options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("request", (request) => request.url().startsWith(url) || seen.foreign.push(request.url()));
  await page.goto(url);
  await page.waitForSelector("#domain-session");
  return page;
}

const text = (page, selector) => page.locator(selector).first().innerText();
const until = (page, body, argument) => page.waitForFunction(body, argument, { timeout: PATIENCE_MS });

const desk = await open({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
seen.title = await desk.title();
await until(desk, () => document.getElementById("ready").textContent === "ready");
await until(desk, () => parseFloat(document.querySelector(".tile .value").textContent) > 0);
seen.hit_rate = await desk.locator(".tile", { hasText: "Hit rate" }).locator(".value").innerText();
seen.layers = await desk.locator("#traffic polygon").count();

// Explain a key, one of them hostile.
await desk.fill("#key", "session:<img src=x onerror=alert(1)>");
await desk.click("#lookup button");
await desk.waitForSelector("#explanation dl");
seen.explained = await text(desk, "#explanation");
seen.images = await desk.locator("#explanation img").count();
await desk.fill("#key", "session:1");
await desk.click("#lookup button");
await until(desk, () => document.getElementById("explanation").textContent.includes(":session:1"));
seen.state = await text(desk, "#explanation dd");

// Roll a policy back: not if it is not confirmed.
await desk.click("#domain-session");
seen.before = await text(desk, "tr.detail code");
await desk.click("#rollback-session");
await desk.click("#confirm button[value=no]");
await desk.click("#rollback-session");
seen.question = await text(desk, "#confirm-text");
await desk.click("#confirm-yes");
await until(desk, (before) => document.querySelector("tr.detail code").textContent !== before, seen.before);
seen.after = await text(desk, "tr.detail code");
await until(desk, () => document.querySelector("ol.history").textContent.includes("rolled-back"));

// Let a breaker only count, and then do its work again.
const held = desk.locator(".breaker", { hasText: "store" });
await held.locator("button[data-mode=metrics-only]").click();
await desk.click("#confirm-yes");
await held.locator(".pill", { hasText: "metrics-only" }).waitFor();
seen.forced = await held.locator(".pill").innerText();
await held.locator("button[data-mode=auto]").click();
await desk.click("#confirm-yes");
await held.locator(".pill", { hasText: "closed" }).waitFor();

// The lock that somebody holds.
seen.locks = await text(desk, "#locks");
await desk.screenshot({ path: join(folder, "dashboard-light.png"), fullPage: true });

await desk.click("#theme");
await desk.click("#theme");
seen.theme = await desk.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
await desk.screenshot({ path: join(folder, "dashboard-dark.png"), fullPage: true });

const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true });
await until(phone, () => document.querySelectorAll("#traffic polygon").length > 0);
seen.overflow = await phone.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
await phone.screenshot({ path: join(folder, "dashboard-phone.png"), fullPage: true });

await browser.close();
console.log(JSON.stringify(seen));
