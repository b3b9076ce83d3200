import asyncio

import glide

from scenario import ADDRESSES, MODE, PREFIX, check, key, main_async

NODES = [glide.NodeAddress(*address) for address in ADDRESSES]


async def connect():
    if MODE == "cluster":
        return await glide.GlideClusterClient.create(glide.GlideClusterClientConfiguration(NODES))
    # One address, whose node takes writes whatever it says of its role: docs/clients.md.
    static = glide.NodeDiscoveryMode.STATIC
    return await glide.GlideClient.create(glide.GlideClientConfiguration(NODES[:1], node_discovery_mode=static))


async def scan(client):
    found, pattern = set(), f"*{PREFIX}*"
    if MODE == "cluster":
        cursor = glide.ClusterScanCursor()
        while not cursor.is_finished():
            cursor, names = await client.scan(cursor, match=pattern)
            found |= set(names)
        return found
    cursor = b"0"
    while True:
        cursor, names = await client.scan(cursor, match=pattern)
        found |= set(names)
        if cursor == b"0":
            return found


async def usual(r):
    batch = glide.ClusterBatch if MODE == "cluster" else glide.Batch
    check(await r.set(key("a"), "1"), "OK")
    check(await r.get(key("a")), b"1")
    check([await r.incr(key("n")), await r.incr(key("n"))], [1, 2])
    check(await r.mget([key("a"), key("n"), key("none")]), [b"1", b"2", None])
    check(await r.expire(key("a"), 100), True)
    check(0 < await r.ttl(key("a")) <= 100, True)
    check(await scan(r), {key("a").encode(), key("n").encode()})
    check(await r.exec(batch(True).incr(key("n")).set(key("m"), "x"), True), [3, "OK"])
    pipeline = batch(False)
    for _ in range(100):
        pipeline.incr(key("p"))
    check(await r.exec(pipeline, True), list(range(1, 101)))
    check(await r.delete([key("a")]), 1)


asyncio.run(main_async("valkey-glide", connect, usual, lambda client: client.close()))
