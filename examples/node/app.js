// Sessions. Larder decides how long one lives: an hour from its last use, unless policies/session.toml says otherwise.
//
// POST /sessions with `user=42` begins one and answers its id; GET /sessions/{id} reads it and keeps it alive; DELETE ends it.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import Redis from "ioredis";

const cache = new Redis(process.env.LARDER_URL ?? "redis://127.0.0.1:6380");
const port = Number(process.env.PORT ?? 9002);

async function begin(body) {
  const id = randomUUID();
  const user = new URLSearchParams(body).get("user");
  if (!user) return [400, { error: "send user=ID" }];
  await cache.set(`session:${id}`, JSON.stringify({ user })); // No EX: the lifetime is the policy's.
  return [201, { id }];
}

async function read(id) {
  const session = await cache.get(`session:${id}`);
  if (session === null) return [404, { error: "no such session, or it is over" }];
  return [200, { ...JSON.parse(session), seconds_left: await cache.ttl(`session:${id}`) }];
}

async function end(id) {
  return (await cache.del(`session:${id}`)) ? [204] : [404, { error: "no such session" }];
}

async function text(request) {
  let body = "";
  for await (const part of request) {
    body += part;
    if (body.length > 4096) throw new Error("the body is too long");
  }
  return body;
}

async function route(request) {
  const [, top, id] = request.url.split("/");
  if (top !== "sessions") return [404, { error: "POST /sessions, GET or DELETE /sessions/{id}" }];
  if (request.method === "POST" && !id) return begin(await text(request));
  if (request.method === "GET" && id) return read(id);
  if (request.method === "DELETE" && id) return end(id);
  return [405, { error: "POST /sessions, GET or DELETE /sessions/{id}" }];
}

createServer(async (request, response) => {
  const [status, answer] = await route(request).catch((error) => [502, { error: error.message }]);
  response.writeHead(status, { "content-type": "application/json" });
  response.end(answer && JSON.stringify(answer));
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/sessions`));
