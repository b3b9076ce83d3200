// Node.js applications and libraries that keep their data in Redis (../README.md).
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once as happens } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { createInterface } from "node:readline";

const [name, address] = process.argv.slice(2);
const [host, port] = address.split(":");
const url = `redis://${address}`;
const fresh = (what = "key") => `${what}-${randomUUID()}`;

// One client for the program's life, as applications have it.
const made = {};
async function nodeRedis() {
  const { createClient } = await import("redis");
  return (made.redis ??= await createClient({ url }).on("error", () => {}).connect());
}
async function ioredis() {
  const { Redis } = await import("ioredis");
  return (made.ioredis ??= new Redis(Number(port), host, { maxRetriesPerRequest: null }).on("error", () => {}));
}

async function pages(app, count) {
  const server = http.createServer(app).listen(0, "127.0.0.1");
  await happens(server, "listening");
  const found = [];
  let cookie = "";
  for (let i = 0; i < count; i++) {
    const response = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { cookie } });
    cookie = response.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    found.push(`${response.status} ${await response.text()}`.slice(0, 300));
  }
  server.close();
  server.closeAllConnections();
  return found;
}

const applications = {
  "connect-redis": async () => {
    const { default: express } = await import("express");
    const { default: session } = await import("express-session");
    const { RedisStore } = await import("connect-redis");
    const app = express();
    app.use(session({ store: new RedisStore({ client: await nodeRedis() }), secret: "s", resave: false, saveUninitialized: true }));
    app.get("/", (request, response) => response.send(String((request.session.n = (request.session.n ?? 0) + 1))));
    assert.deepEqual(await pages(app, 2), ["200 1", "200 2"]);
  },
  "rate-limit-redis": async () => {
    const { RedisStore } = await import("rate-limit-redis");
    const client = await nodeRedis();
    const store = new RedisStore({ sendCommand: (...words) => client.sendCommand(words), prefix: fresh("limit") });
    store.init({ windowMs: 60000 });
    assert.equal((await store.increment("user")).totalHits, 1);
  },
  "rate-limiter-flexible": async () => {
    const { RateLimiterRedis } = await import("rate-limiter-flexible");
    const limiter = new RateLimiterRedis({ storeClient: await ioredis(), points: 5, duration: 60, keyPrefix: fresh("limit") });
    assert.equal((await limiter.consume("user")).consumedPoints, 1);
  },
  bullmq: async () => {
    const { Queue } = await import("bullmq");
    const queue = new Queue(fresh("queue"), { connection: { host, port: Number(port), maxRetriesPerRequest: 1 } });
    queue.on("error", () => {});
    await queue.add("job", { x: 1 });
    await queue.close();
  },
  "@keyv/redis": async () => {
    const { default: Keyv } = await import("keyv");
    const { default: KeyvRedis } = await import("@keyv/redis");
    const keyv = (made.keyv ??= new Keyv(new KeyvRedis(url)));
    keyv.on("error", () => {});
    const key = fresh();
    assert.equal(await keyv.set(key, { x: 1 }, 60000), true);
    assert.deepEqual(await keyv.get(key), { x: 1 });
    assert.equal(await keyv.delete(key), true);
  },
  unstorage: async () => {
    const { createStorage } = await import("unstorage");
    const { default: driver } = await import("unstorage/drivers/redis");
    const storage = (made.storage ??= createStorage({ driver: driver({ host, port: Number(port), base: "storage" }) }));
    const key = fresh();
    await storage.setItem(key, { x: 1 }, { ttl: 60 });
    assert.deepEqual(await storage.getItem(key), { x: 1 });
    assert.ok((await storage.getKeys()).includes(key));
  },
  bottleneck: async () => {
    const { default: Bottleneck } = await import("bottleneck");
    const limiter = new Bottleneck({ datastore: "ioredis", id: fresh(), maxConcurrent: 1, clientOptions: { host, port: Number(port) }, Redis: (await import("ioredis")).Redis });
    const failed = new Promise((_, reject) => limiter.on("error", reject));
    assert.equal(await Promise.race([limiter.schedule(async () => 5), failed]), 5);
  },
  "@socket.io/redis-adapter": async () => {
    const { createAdapter } = await import("@socket.io/redis-adapter");
    const publish = await nodeRedis();
    const subscribe = await publish.duplicate().on("error", () => {}).connect();
    await subscribe.subscribe(fresh("channel"), () => {}); // what the adapter does first, and waits for
    createAdapter(publish, subscribe);
    subscribe.destroy();
  },
};

async function once() {
  try {
    const limit = new Promise((_, reject) => setTimeout(() => reject(new Error("not within 12 s")), 12000).unref());
    await Promise.race([applications[name](), limit]);
    console.log("works");
  } catch (error) {
    console.log("failed", String(error.cause ? `${error} / ${error.cause}` : error).replaceAll("\n", " ").slice(0, 400));
  }
}

process.on("uncaughtException", (error) => console.log("failed", String(error).replaceAll("\n", " ").slice(0, 400)));
process.on("unhandledRejection", () => {});
console.log("version", JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version);
await once();
for await (const _ of createInterface({ input: process.stdin })) await once();
process.exit(0);
