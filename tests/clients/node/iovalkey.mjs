import { Cluster, Redis } from "iovalkey";
import { addresses, check, count, key, main, mode, prefix } from "./scenario.mjs";

function connect() {
  const client = mode === "cluster" ? new Cluster(addresses) : new Redis(addresses[0]);
  client.on("error", () => {}); // it goes on by itself
  return client;
}

async function scan(client) {
  const found = [];
  for (const node of mode === "cluster" ? client.nodes("master") : [client])
    for await (const names of node.scanStream({ match: `*${prefix}*`, count: 100 })) found.push(...names);
  return [...new Set(found)].sort();
}

async function usual(r) {
  check(await r.set(key("a"), "1"), "OK");
  check(await r.get(key("a")), "1");
  check([await r.incr(key("n")), await r.incr(key("n"))], [1, 2]);
  check(await r.mget(key("a"), key("n"), key("none")), ["1", "2", null]);
  check(await r.expire(key("a"), 100), 1);
  check((await r.ttl(key("a"))) > 0, true);
  check(await scan(r), [key("a"), key("n")]);
  check(await r.multi().incr(key("n")).set(key("m"), "x").exec(), [[null, 3], [null, "OK"]]);
  const pipeline = r.pipeline();
  for (const _ of count(100)) pipeline.incr(key("p"));
  check(await pipeline.exec(), count(100).map((n) => [null, n]));
  check(await r.del(key("a")), 1);
}

await main("iovalkey", { connect, usual, set: (r, k, v) => r.set(k, v), get: (r, k) => r.get(k), close: (r) => r.quit() });
