import redis
from redis.cluster import ClusterNode

from scenario import ADDRESSES, MODE, PREFIX, check, key, main


def connect():
    if MODE == "cluster":
        return redis.RedisCluster(startup_nodes=[ClusterNode(*address) for address in ADDRESSES], decode_responses=True)
    return redis.Redis(*ADDRESSES[0], decode_responses=True)


def usual(r):
    check(r.set(key("a"), "1"), True)
    check(r.get(key("a")), "1")
    check([r.incr(key("n")), r.incr(key("n"))], [1, 2])
    check(r.mget(key("a"), key("n"), key("none")), ["1", "2", None])
    check(r.expire(key("a"), 100), True)
    check(0 < r.ttl(key("a")) <= 100, True)
    check(set(r.scan_iter(match=f"*{PREFIX}*", count=100)), {key("a"), key("n")})
    check(r.pipeline(transaction=True).incr(key("n")).set(key("m"), "x").execute(), [3, "OK" if MODE == "cluster" else True])
    pipeline = r.pipeline(transaction=False)
    for _ in range(100):
        pipeline.incr(key("p"))
    check(pipeline.execute(), list(range(1, 101)))
    check(r.delete(key("a")), 1)


if __name__ == "__main__":
    main("redis", connect, usual)
