"""Python applications and libraries that keep their data in Redis, each used as its users do (../README.md)."""

import asyncio
import sys
import uuid
from importlib.metadata import version

NAME, ADDRESS = sys.argv[1:3]
HOST, PORT = ADDRESS.split(":")
PORT = int(PORT)
CAUSES_MAX = 4  # of one error; they may go in a circle
URL = f"redis://{ADDRESS}/0"


def connection():
    import redis

    return redis.Redis(HOST, PORT)


def fresh(name="key"):
    return f"{name}-{uuid.uuid4()}"


def check(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} instead of {wanted!r}")


# ---- patterns on a plain client ----


def lock_by_set_nx():
    r, key = connection(), fresh("lock")
    check([r.set(key, "mine", nx=True, ex=60), r.set(key, "other", nx=True, ex=60)], [True, None])
    check([r.get(key), r.delete(key)], [b"mine", 1])


def ids_by_incr():
    r, key = connection(), fresh("ids")
    check([r.incr(key), r.incr(key), r.incrby(key, 10)], [1, 2, 12])


def flags_by_mget():
    r, a, b = connection(), fresh("flag"), fresh("flag")
    r.mset({a: 1, b: 0})
    check(r.mget(a, b), [b"1", b"0"])


def optimistic_update():
    r, key = connection(), fresh("balance")
    r.set(key, 10)
    check(r.transaction(lambda pipe: (pipe.get(key), pipe.multi(), pipe.incrby(key, 5)), key), [15])


def counter_of_a_window():
    r, key = connection(), fresh("window")
    pipeline = r.pipeline()
    pipeline.incr(key).expire(key, 60)
    check(pipeline.execute(), [1, True])


def bitmap_of_users():
    r, key = connection(), fresh("seen")
    check([r.setbit(key, 7, 1), r.getbit(key, 7), r.bitcount(key)], [0, 1, 1])


def redis_py_lock():
    with connection().lock(fresh("lock"), timeout=5, blocking_timeout=1):
        pass


# ---- web frameworks: caches, sessions, limits ----


def django_cache(backend):
    import django.conf

    if not django.conf.settings.configured:
        django.conf.settings.configure(CACHES={"default": {"BACKEND": backend, "LOCATION": URL}})
    from django.core.cache import cache

    a, n = fresh("a"), fresh("n")
    cache.set(a, {"x": 1})
    check([cache.get(a), cache.get_many([a, "none"]), cache.add(a, 2)], [{"x": 1}, {a: {"x": 1}}, False])
    cache.set(n, 1, timeout=None)
    check([cache.incr(n), cache.touch(n, 100), cache.delete(n), cache.get_or_set(n, 5)], [2, True, True, 5])


def django_redis():
    django_cache("django_redis.cache.RedisCache")


def django():
    django_cache("django.core.cache.backends.redis.RedisCache")


def django_sessions():
    django_redis()
    from django.contrib.sessions.backends.cache import SessionStore

    session = SessionStore()
    session["n"] = 1
    session.save()
    check(SessionStore(session.session_key)["n"], 1)
    session.delete()


def aiohttp_session():
    import aiohttp_session
    import redis.asyncio
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer
    from aiohttp_session.redis_storage import RedisStorage

    async def count(request):
        session = await aiohttp_session.get_session(request)
        session["n"] = session.get("n", 0) + 1
        return web.Response(text=str(session["n"]))

    async def use():
        app = web.Application()
        aiohttp_session.setup(app, RedisStorage(redis.asyncio.from_url(URL), max_age=60))
        app.router.add_get("/", count)
        async with TestClient(TestServer(app)) as client:
            check([await (await client.get("/")).text(), await (await client.get("/")).text()], ["1", "2"])

    asyncio.run(use())


def fastapi_cache():
    import redis.asyncio
    from fastapi_cache.backends.redis import RedisBackend

    async def use():
        backend, key = RedisBackend(redis.asyncio.from_url(URL)), fresh()
        await backend.set(key, b"page", expire=60)
        left, page = await backend.get_with_ttl(key)
        check([0 < left <= 60, page], [True, b"page"])

    asyncio.run(use())


def flask_session():
    import flask
    import flask_session

    app = flask.Flask("application")
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=connection())
    flask_session.Session(app)

    @app.route("/")
    def count():
        flask.session["n"] = flask.session.get("n", 0) + 1
        return str(flask.session["n"])

    with app.test_client() as client:
        check([client.get("/").text, client.get("/").text], ["1", "2"])


def flask_caching():
    import flask
    import flask_caching

    app = flask.Flask("application")
    cache = flask_caching.Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": URL})
    key, calls = fresh(), []

    @cache.memoize(60)
    def slow(_):
        calls.append(1)
        return 7

    with app.app_context():
        check([slow(key), slow(key), len(calls)], [7, 7, 1])


def flask_limiter():
    import flask
    import flask_limiter

    app = flask.Flask("application")
    limiter = flask_limiter.Limiter(fresh, app=app, storage_uri=URL)

    @app.route("/")
    @limiter.limit("1/minute", key_func=lambda: "all")
    def page():
        return "page"

    app.testing = app.config["PROPAGATE_EXCEPTIONS"] = True
    check(app.test_client().get("/").status_code in (200, 429), True)


def limits():
    import limits
    import limits.strategies

    limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.storage_from_string(URL))
    check(limiter.hit(limits.parse("5/minute"), fresh("user")), True)


def cachelib():
    import cachelib

    cache, key = cachelib.RedisCache(HOST, PORT), fresh()
    check([cache.set(key, [1]), cache.get(key), cache.has(key), cache.delete(key)], [True, [1], True, True])


def beaker():
    from beaker.cache import CacheManager

    key, calls = fresh(), []
    cache = CacheManager(type="ext:redis", url=URL, lock_dir="/tmp").get_cache("application")
    make = lambda: calls.append(1) or "made"  # noqa: E731
    check([cache.get(key, createfunc=make), cache.get(key, createfunc=make), len(calls)], ["made", "made", 1])


def dogpile():
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.redis", expiration_time=60, arguments={"url": URL})
    key, calls = fresh(), []
    make = lambda: calls.append(1) or "made"  # noqa: E731
    check([region.get_or_create(key, make), region.get_or_create(key, make), len(calls)], ["made", "made", 1])


def aiocache():
    from aiocache import RedisCache

    async def use():
        async with RedisCache(endpoint=HOST, port=PORT) as cache:
            key = fresh()
            await cache.set(key, "value", ttl=60)
            check([await cache.get(key), await cache.increment(fresh()), await cache.delete(key)], ["value", 1, 1])

    asyncio.run(use())


def cashews():
    from cashews import Cache

    async def use():
        cache, key = Cache(), fresh()
        cache.setup(URL, client_side=False)
        await cache.set(key, {"x": 1}, expire=60)
        check([await cache.get(key), await cache.exists(key)], [{"x": 1}, True])
        await cache.close()

    asyncio.run(use())


def starsessions():
    import redis.asyncio
    from starsessions.stores.redis import RedisStore

    async def use():
        store, key = RedisStore(connection=redis.asyncio.from_url(URL)), fresh()
        await store.write(key, b"session", 60, 60)
        check(await store.read(key, 60), b"session")
        await store.remove(key)

    asyncio.run(use())


def pyrate_limiter():
    from pyrate_limiter import Duration, Limiter, Rate, RedisBucket

    bucket = RedisBucket.init([Rate(5, Duration.MINUTE)], connection(), fresh("bucket"))
    check(bool(Limiter(bucket).try_acquire("user", blocking=False)), True)


# ---- queues ----


def celery_results():
    import celery

    backend = celery.Celery("application", backend=URL).backend
    task = fresh("task")
    backend.store_result(task, 5, "SUCCESS")
    check(backend.get_result(task), 5)


def celery_broker():
    import celery

    app = celery.Celery("application", broker=URL)
    app.conf.update(broker_connection_max_retries=1, broker_transport_options={"max_retries": 1})
    app.send_task("task", retry=False)


def rq():
    import rq

    connected = connection()
    queue = rq.Queue(fresh("queue"), connection=connected)
    job = queue.enqueue("math.sqrt", 4)
    rq.SimpleWorker([queue], connection=connected).work(burst=True)
    check(job.return_value(), 2.0)


def huey():
    import huey

    queue = huey.RedisHuey(fresh("queue"), url=URL)
    result = queue.task()(lambda x: x + 1)(1)
    queue.execute(queue.dequeue())
    check(result.get(), 2)


def dramatiq():
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=URL)
    broker.declare_queue("queue")
    broker.enqueue(dramatiq.Message(queue_name="queue", actor_name="actor", args=(), kwargs={}, options={}))


def dramatiq_results():
    from dramatiq import Message
    from dramatiq.results.backends import RedisBackend

    message = Message(queue_name="queue", actor_name="actor", args=(), kwargs={}, options={})
    backend = RedisBackend(url=URL)
    backend.store_result(message, 5, 60000)
    check(backend.get_result(message), 5)


def taskiq_results():
    from taskiq import TaskiqResult
    from taskiq_redis import RedisAsyncResultBackend

    async def use():
        backend, task = RedisAsyncResultBackend(URL, result_ex_time=60), fresh("task")
        await backend.set_result(task, TaskiqResult(is_err=False, return_value=5, execution_time=0.1))
        check([await backend.is_result_ready(task), (await backend.get_result(task)).return_value], [True, 5])
        await backend.shutdown()

    asyncio.run(use())


# ---- locks and structures ----


def python_redis_lock():
    import redis_lock

    with redis_lock.Lock(connection(), fresh("lock"), expire=5):
        pass


def redlock_py():
    import redlock

    manager = redlock.Redlock([{"host": HOST, "port": PORT}])
    lock = manager.lock(fresh("lock"), 1000)
    check(bool(lock), True)
    # What unlock() does, which hides the error.
    check(manager.servers[0].eval(redlock.Redlock.unlock_script, 1, lock.resource, lock.key), 1)


def pottery():
    from pottery import NextID

    ids = NextID(key=fresh("ids"), masters={connection()})
    check([next(ids), next(ids)], [1, 2])


PACKAGES = {  # of which the version is said
    "django_redis": "django-redis", "django": "Django", "django_sessions": "Django",
    "aiohttp_session": "aiohttp-session", "fastapi_cache": "fastapi-cache2", "flask_session": "Flask-Session", "flask_caching": "Flask-Caching",
    "flask_limiter": "Flask-Limiter", "limits": "limits", "cachelib": "cachelib", "beaker": "Beaker", "dogpile": "dogpile.cache",
    "aiocache": "aiocache", "cashews": "cashews", "starsessions": "starsessions", "pyrate_limiter": "pyrate-limiter",
    "celery_results": "celery", "celery_broker": "celery", "rq": "rq", "huey": "huey", "dramatiq": "dramatiq",
    "dramatiq_results": "dramatiq", "taskiq_results": "taskiq-redis", "python_redis_lock": "python-redis-lock",
    "redlock_py": "redlock-py", "pottery": "pottery",
}


def told(error):
    causes = getattr(error, "redis_errors", None)  # pottery's
    return f"{type(error).__name__}: {' '.join(str(causes or error).split())}"[:600]


def once():
    try:
        globals()[NAME]()
        print("works", flush=True)
    except BaseException as error:
        chain = [error]
        while len(chain) < CAUSES_MAX and (chain[-1].__cause__ or chain[-1].__context__):
            chain.append(chain[-1].__cause__ or chain[-1].__context__)
        print("failed", " / ".join(map(told, chain)), flush=True)


print("version", version(PACKAGES.get(NAME, "redis")), flush=True)
once()
for _ in sys.stdin:  # a line each time that it is to be used once more
    once()
