import asyncio

import coredis

from scenario import ADDRESSES, MODE, PREFIX, check, key, main_async


def make():
    if MODE == "cluster":
        return coredis.RedisCluster(startup_nodes=[{"host": host, "port": port} for host, port in ADDRESSES], decode_responses=True)
    return coredis.Redis(*ADDRESSES[0], decode_responses=True)


async def usual(r):
    check(await r.set(key("a"), "1"), True)
    check(await r.get(key("a")), "1")
    check([await r.incr(key("n")), await r.incr(key("n"))], [1, 2])
    check(await r.mget([key("a"), key("n"), key("none")]), ("1", "2", None))
    check(await r.expire(key("a"), 100), True)
    check(0 < await r.ttl(key("a")) <= 100, True)
    check({name async for name in r.scan_iter(match=f"*{PREFIX}*", count=100)}, {key("a"), key("n")})
    async with r.pipeline(transaction=True) as pipeline:
        replies = [pipeline.incr(key("n")), pipeline.set(key("m"), "x")]
    check([await reply for reply in replies], [3, True])
    async with r.pipeline(transaction=False) as pipeline:
        replies = [pipeline.incr(key("p")) for _ in range(100)]
    check([await reply for reply in replies], list(range(1, 101)))
    check(await r.delete([key("a")]), 1)


async def run():
    async with make() as client:
        async def connect():
            return client

        async def close(client):
            pass

        await main_async("coredis", connect, usual, close)


asyncio.run(run())
