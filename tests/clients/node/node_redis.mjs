import { createClient, createCluster } from "redis";
import { addresses, check, count, key, main, mode, prefix } from "./scenario.mjs";

async function connect() {
  const urls = addresses.map(({ host, port }) => ({ url: `redis://${host}:${port}` }));
  const client = mode === "cluster" ? createCluster({ rootNodes: urls }) : createClient(urls[0]);
  client.on("error", () => {}); // it goes on by itself
  return await client.connect();
}

async function scan(client) {
  const nodes = mode === "cluster" ? await Promise.all(client.masters.map((master) => client.nodeClient(master))) : [client];
  const found = [];
  for (const node of nodes)
    for await (const names of node.scanIterator({ MATCH: `*${prefix}*`, COUNT: 100 })) found.push(...names);
  return [...new Set(found)].sort();
}

async function usual(r) {
  check(await r.set(key("a"), "1"), "OK");
  check(await r.get(key("a")), "1");
  check([await r.incr(key("n")), await r.incr(key("n"))], [1, 2]);
  check(await r.mGet([key("a"), key("n"), key("none")]), ["1", "2", null]);
  check(await r.expire(key("a"), 100), 1);
  check((await r.ttl(key("a"))) > 0, true);
  check(await scan(r), [key("a"), key("n")]);
  check(await r.multi().incr(key("n")).set(key("m"), "x").exec(), [3, "OK"]);
  check(await Promise.all(count(100).map(() => r.incr(key("p")))), count(100)); // commands of one turn are pipelined
  check(await r.del(key("a")), 1);
}

await main("redis", { connect, usual, set: (r, k, v) => r.set(k, v), get: (r, k) => r.get(k), close: (r) => r.close() });
