import asyncio

import redis.asyncio as redis
from redis.asyncio.cluster import ClusterNode

from scenario import ADDRESSES, MODE, PREFIX, check, key, main_async


async def connect():
    if MODE == "cluster":
        return redis.RedisCluster(startup_nodes=[ClusterNode(*address) for address in ADDRESSES], decode_responses=True)
    return redis.Redis(host=ADDRESSES[0][0], port=ADDRESSES[0][1], decode_responses=True)


async def usual(r):
    check(await r.set(key("a"), "1"), True)
    check(await r.get(key("a")), "1")
    check([await r.incr(key("n")), await r.incr(key("n"))], [1, 2])
    check(await r.mget(key("a"), key("n"), key("none")), ["1", "2", None])
    check(await r.expire(key("a"), 100), True)
    check(0 < await r.ttl(key("a")) <= 100, True)
    check({name async for name in r.scan_iter(match=f"*{PREFIX}*", count=100)}, {key("a"), key("n")})
    check(await r.pipeline(transaction=True).incr(key("n")).set(key("m"), "x").execute(), [3, True])
    pipeline = r.pipeline(transaction=False)
    for _ in range(100):
        pipeline.incr(key("p"))
    check(await pipeline.execute(), list(range(1, 101)))
    check(await r.delete(key("a")), 1)


asyncio.run(main_async("redis", connect, usual, lambda client: client.aclose()))
