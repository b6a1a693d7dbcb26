// What applications do with the clients of Node: node uses.mjs PORT. Prints what each use found, as JSON; the same on every server that
// is a Redis. A use that fails says why in the place of what it found.

import { createRequire } from "node:module";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(`${process.env.TOOLS}/`);
const Redis = require("ioredis").default ?? require("ioredis");
const { createClient, BasicClientSideCache } = require("redis");
const { createCache } = require("cache-manager");
const { Keyv } = require("keyv");
const KeyvRedis = require("@keyv/redis").default;
const { RedisStore } = require("connect-redis");
const { Queue, QueueEvents, Worker } = require("bullmq");

const port = Number(process.argv[2]);
const opened = [];

function io(options = {}) {
  const client = new Redis({ port, host: "127.0.0.1", ...options });
  // What ends a connection is told to the commands on it.
  client.on("error", () => {});
  opened.push(() => client.disconnect());
  return client;
}

async function node(options = {}) {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, ...options });
  client.on("error", () => {});
  await client.connect();
  opened.push(() => client.destroy());
  return client;
}

const uses = {
  async "node-redis: copies of its own"() {
    const copies = new BasicClientSideCache({ maxEntries: 100, ttl: 0, recordStats: true });
    const client = await node({ RESP: 3, clientSideCache: copies });
    const other = await node();
    await other.set("copied", "1");
    await other.hSet("copied:hash", { a: "1" });
    const told = (key) => new Promise((done) => {
      const listen = (gone) => {
        if (gone?.toString() !== key) return;
        copies.off("invalidate", listen);
        done(key);
      };
      copies.on("invalidate", listen);
    });
    const counts = () => [copies.stats().hitCount, copies.stats().missCount];
    const first = [await client.get("copied"), await client.get("copied"), await client.hGetAll("copied:hash"), counts()];
    const [one, two] = [told("copied"), told("copied:hash")];
    await other.set("copied", "2");
    await other.hSet("copied:hash", { a: "2" });
    const heard = [await one, await two];
    const after = [await client.get("copied"), await client.get("copied"), await client.hGetAll("copied:hash"), counts()];
    const own = [await client.set("copied", "3"), await client.get("copied")];
    return [first, heard, after, own];
  },
  async "ioredis: a pipeline, with an error in its place"() {
    const client = io();
    return client.pipeline().set("k", "v").get("k").zadd("z", 1, "a").zadd("k", 1, "a").zcard("z").exec()
      .then((all) => all.map(([error, value]) => error?.message ?? value));
  },
  async "ioredis: a thousand commands on one key"() {
    const client = io();
    const pipeline = client.pipeline();
    for (let n = 0; n < 1000; n++) pipeline.zadd("many", n, `m${n}`).lpush("list", n);
    const all = await pipeline.exec();
    return [all.every(([error, value], at) => !error && (at % 2 === 0 ? value === 1 : value === (at + 1) / 2)),
      await client.zcard("many"), await client.lrange("list", 0, 2)];
  },
  async "ioredis: transactions, watched keys"() {
    const [client, other] = [io(), io()];
    const first = await client.multi().set("t", 1).incr("t").zadd("tz", 1, "a").exec();
    await client.watch("t");
    await other.set("t", 9);
    const lost = await client.multi().incr("t").exec();
    await client.watch("t");
    const kept = await client.multi({ pipeline: false }).then(() => client.incr("t")).then(() => client.exec());
    return [first, lost, kept];
  },
  async "ioredis: scripts by defineCommand"() {
    const client = io({ keyPrefix: "app:" });
    client.defineCommand("bump", { numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1])" });
    const all = await client.pipeline().bump("n", 2).bump("n", 3).exec();
    return [await client.bump("n", 5), all, await io().get("app:n")];
  },
  async "ioredis: streams over all keys"() {
    const client = io({ keyPrefix: "s:" });
    await client.mset(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${n}`, n])));
    await client.hset("h", Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`f${n}`, n])));
    const found = new Set();
    for await (const keys of io().scanStream({ match: "s:k*", count: 50 })) keys.forEach((key) => found.add(key));
    let fields = 0;
    for await (const pairs of client.hscanStream("h")) fields += pairs.length / 2;
    return [found.size, fields];
  },
  async "ioredis: what is published"() {
    const [listener, speaker] = [io(), io()];
    const heard = [];
    listener.on("message", (channel, text) => heard.push([channel, text]));
    listener.on("pmessage", (pattern, channel, text) => heard.push([pattern, channel, text]));
    await listener.subscribe("news");
    await listener.psubscribe("n?ws");
    const told = await speaker.publish("news", "hello");
    for (let tries = 0; heard.length < 2 && tries < 500; tries++) await sleep(10);
    await listener.unsubscribe("news");
    return [told, heard, await speaker.publish("news", "again")];
  },
  async "ioredis: pops that wait"() {
    const [waiting, other] = [io(), io()];
    const popped = waiting.blpop("jobs", 20);
    const nothing = await other.blpop("none", 0.05);
    await other.rpush("jobs", "a");
    return [await popped, nothing];
  },
  async "ioredis: databases"() {
    const [zero, one] = [io(), io({ db: 1 })];
    await zero.set("where", "zero");
    await one.set("where", "one");
    const found = [await zero.get("where"), await one.get("where")];
    await zero.select(1);
    found.push(await zero.get("where"));
    return found;
  },
  async "ioredis: a connection that is lost, and what was asked meanwhile"() {
    const [client, other] = [io({ db: 2, retryStrategy: () => 20 }), io()];
    await client.set("again", "v");
    const id = await client.client("ID");
    // Before it is killed: it may be told of that before the answer to the kill is there.
    const [closed, ready] = [once(client, "close"), once(client, "ready")];
    await other.client("KILL", "ID", id);
    await closed;
    const queued = client.get("again");
    await ready;
    return [await queued, client.options.db];
  },
  async "ioredis: commands before the connection, lazily"() {
    const client = io({ lazyConnect: true });
    const before = client.status;
    return [before, await Promise.all([client.set("lazy", 1), client.incr("lazy")]), client.status];
  },
  async "ioredis: pipelines by themselves"() {
    const client = io({ enableAutoPipelining: true });
    return Promise.all(Array.from({ length: 200 }, (_, n) => client.incr("auto").then((value) => value === n + 1)))
      .then((all) => all.every(Boolean));
  },
  async "node-redis: commands side by side, transactions, scripts"() {
    const client = await node();
    const side = await Promise.all([client.set("a", "1"), client.incr("a"), client.zAdd("z2", [{ score: 1, value: "m" }]), client.get("a")]);
    const block = await client.multi().set("b", "2").get("b").hSet("h2", { f: "v" }).hGetAll("h2").exec();
    const script = await client.eval("return {KEYS[1], ARGV[1]}", { keys: ["a"], arguments: ["x"] });
    return [side, block, script];
  },
  async "node-redis: RESP3, databases, scans"() {
    const client = await node({ RESP: 3, database: 3 });
    await client.mSet(Array.from({ length: 120 }, (_, n) => [`scan${n}`, "v"]));
    let found = 0;
    for await (const keys of client.scanIterator({ MATCH: "scan*" })) found += keys.length;
    return [found, await client.hSet("h3", { a: "1" }), await client.hGetAll("h3"), await client.zRange("none", 0, -1)];
  },
  async "node-redis: what is published, pops that wait"() {
    const [listener, client] = [await node(), await node()];
    const heard = new Promise((resolve) => listener.subscribe("talk", (text, channel) => resolve([channel, text])).then(() => client.publish("talk", "hi")));
    const waits = await node();
    const popped = waits.brPop("waits", 20);
    await client.lPush("waits", "x");
    return [await heard, await popped];
  },
  async "Keyv and cache-manager"() {
    const store = new KeyvRedis(`redis://127.0.0.1:${port}/4`);
    const keyv = new Keyv({ store, namespace: "app" });
    await keyv.set("k", { deep: [1, 2] }, 60_000);
    await keyv.setMany([{ key: "a", value: 1 }, { key: "b", value: 2 }]);
    const cache = createCache({ stores: [keyv] });
    let loads = 0;
    const load = () => ({ loaded: ++loads });
    const wrapped = [await cache.wrap("w", load, 60_000), await cache.wrap("w", load, 60_000)];
    const found = [await keyv.get("k"), await keyv.getMany(["a", "none", "b"]), await keyv.has("a"), await keyv.delete("a"), await keyv.get("a"), wrapped];
    await keyv.clear();
    found.push(await keyv.get("k") ?? null);
    await keyv.disconnect();
    return found;
  },
  async "connect-redis"() {
    const store = new RedisStore({ client: await node({ database: 5 }), prefix: "sess:", ttl: 60 });
    const session = (user) => ({ user, cookie: { originalMaxAge: 60_000 } });
    await store.set("1", session("ada"));
    await store.set("2", session("bob"));
    await store.touch("1", session("ada"));
    const found = [await store.get("1"), await store.length(), (await store.ids()).sort()];
    await store.destroy("1");
    found.push(await store.get("1") ?? null, await store.length());
    await store.clear();
    return [...found, await store.length()];
  },
  async "BullMQ: jobs, delays, retries"() {
    const connection = { host: "127.0.0.1", port, db: 6, maxRetriesPerRequest: null };
    const queue = new Queue("work", { connection });
    const events = new QueueEvents("work", { connection });
    await events.waitUntilReady();
    let failed = 0;
    const worker = new Worker("work", async (job) => {
      if (job.name === "weak" && ++failed < 2) throw new Error("not yet");
      return job.data.n * 2;
    }, { connection });
    const jobs = [
      await queue.add("plain", { n: 1 }),
      await queue.add("late", { n: 2 }, { delay: 50 }),
      await queue.add("weak", { n: 3 }, { attempts: 3, backoff: 20 }),
      ...await queue.addBulk([{ name: "plain", data: { n: 4 } }, { name: "plain", data: { n: 5 }, opts: { priority: 2 } }]),
    ];
    const done = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 30_000)));
    const counts = await queue.getJobCounts("completed", "failed", "waiting");
    await worker.close();
    await events.close();
    await queue.obliterate({ force: true });
    await queue.close();
    return [done, counts, failed];
  },
};

const found = {};
const cleaner = io();
await cleaner.flushall();
for (const [name, use] of Object.entries(uses)) {
  const late = sleep(60_000, undefined, { ref: false }).then(() => { throw new Error("it takes too long"); });
  found[name] = await Promise.race([use(), late]).catch((error) => ({ failed: String(error?.stack ?? error) }));
}
for (const close of opened) close();
process.stdout.write(JSON.stringify(found), () => process.exit(0));
