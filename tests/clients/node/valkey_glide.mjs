import { Batch, ClusterBatch, ClusterScanCursor, GlideClient, GlideClusterClient, NodeDiscoveryMode } from "@valkey/valkey-glide";
import { addresses, check, count, key, main, mode, prefix } from "./scenario.mjs";

// Standalone: one address, whose node takes writes whatever it says of its role (docs/clients.md).
const connect = () =>
  mode === "cluster"
    ? GlideClusterClient.createClient({ addresses })
    : GlideClient.createClient({ addresses: addresses.slice(0, 1), nodeDiscoveryMode: NodeDiscoveryMode.Static });

async function scan(client) {
  const found = new Set();
  const options = { match: `*${prefix}*` };
  let names;
  if (mode === "cluster") {
    let cursor = new ClusterScanCursor();
    while (!cursor.isFinished()) {
      [cursor, names] = await client.scan(cursor, options);
      names.forEach((name) => found.add(name));
    }
  } else {
    let cursor = "0";
    do {
      [cursor, names] = await client.scan(cursor, options);
      names.forEach((name) => found.add(name));
    } while (cursor !== "0");
  }
  return [...found].sort();
}

async function usual(r) {
  const BatchOf = mode === "cluster" ? ClusterBatch : Batch;
  check(await r.set(key("a"), "1"), "OK");
  check(await r.get(key("a")), "1");
  check([await r.incr(key("n")), await r.incr(key("n"))], [1, 2]);
  check(await r.mget([key("a"), key("n"), key("none")]), ["1", "2", null]);
  check(await r.expire(key("a"), 100), true);
  check((await r.ttl(key("a"))) > 0, true);
  check(await scan(r), [key("a"), key("n")]);
  check(await r.exec(new BatchOf(true).incr(key("n")).set(key("m"), "x"), true), [3, "OK"]);
  const pipeline = new BatchOf(false);
  for (const _ of count(100)) pipeline.incr(key("p"));
  check(await r.exec(pipeline, true), count(100));
  check(await r.del([key("a")]), 1);
}

await main("@valkey/valkey-glide", { connect, usual, set: (r, k, v) => r.set(k, v), get: (r, k) => r.get(k), close: (r) => r.close() });
process.exit(0); // GLIDE's threads do not end by themselves
