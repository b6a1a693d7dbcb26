// Asking the host: the same interface that everybody has.

import { find } from "./dom.js";

const TOKEN = "larder-token";
const ANSWER_WITHIN_MS = 5000;
let asking = null;

/** What the host said no to, in its own words. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** Asks; JSON comes back, or `null` where there is no body. */
export async function ask(path, method = "GET", body = undefined) {
  const headers = { accept: "application/json" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    cache: "no-store",
  });
  if (response.status === 401) {
    await token_from_reader();
    return ask(path, method, body);
  }
  const text = await response.text();
  if (!response.ok) throw new Refused(response.status, words(text, response.status));
  return text && response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : null;
}

function words(text, status) {
  try {
    const problem = JSON.parse(text);
    return [problem.title, problem.detail].filter(Boolean).join(": ") || `status ${status}`;
  } catch {
    return text || `status ${status}`;
  }
}

/** One dialog, however many requests need it. */
function token_from_reader() {
  asking ??= new Promise((done) => {
    const dialog = find("token-dialog");
    const field = find("token");
    field.value = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(TOKEN, field.value);
      asking = null;
      done();
    }, { once: true });
  });
  return asking;
}
