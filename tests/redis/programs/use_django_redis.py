"""django-redis.  Its incr() and its locks send scripts and are left out."""

import sys

import django
from django.conf import settings
from same import same, wait_for

settings.configure(CACHES={"default": {
    "BACKEND": "django_redis.cache.RedisCache", "LOCATION": sys.argv[1], "TIMEOUT": 300,
    "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient",
                "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}}})
django.setup()

from django.core.cache import cache  # noqa: E402 - needs the settings
from django_redis import get_redis_connection  # noqa: E402


def values():
    """Set, get, add, many, and large ones which it compresses."""
    cache.set("page", {"title": "Über"})
    same(cache.get("page"), {"title": "Über"})
    same(cache.set("page", 1, nx=True), False)
    same(cache.add("page", 1), False)
    cache.set("large", "x" * 100000)
    same(cache.get("large"), "x" * 100000)
    cache.set_many({"a": 1, "b": [2]})
    same(dict(cache.get_many(["a", "b", "c"])), {"a": 1, "b": [2]})
    same(cache.delete_many(["a", "b"]), 2)


def times():
    """TTLs and what keeps them."""
    cache.set("short", 1, timeout=1)
    cache.set("forever", 1, timeout=None)
    same((cache.ttl("forever"), cache.ttl("nothing")), (None, 0))
    same(1 <= cache.ttl("page") <= 300, True)
    same(cache.persist("page"), True)
    same(cache.ttl("page"), None)
    same(cache.expire("page", 50), True)
    same(cache.pexpire("page", 40000), True)
    same(30000 < cache.pttl("page") <= 40000, True)
    same(cache.touch("page", 100), True)
    wait_for(lambda: cache.get("short") is None)


def patterns():
    """Keys by their names."""
    cache.set_many({"user:%d" % number: number for number in range(50)})
    same(sorted(cache.keys("user:1?")), ["user:1%d" % number for number in range(10)])
    same(len(set(cache.iter_keys("user:*"))), 50)
    same(cache.delete_pattern("user:*"), 50)
    same(cache.keys("user:*"), [])


def structures():
    """Sets and hashes of values, and the connection below."""
    same(cache.sadd("tags", "red", "green"), 2)
    same(cache.sismember("tags", "red"), True)
    same((cache.smembers("tags"), cache.scard("tags")), ({"red", "green"}, 2))
    same(cache.srem("tags", "red"), 1)
    same(cache.hset("row", "name", "Ada"), 1)
    same(cache.hkeys("row"), ["name"])
    connection = get_redis_connection("default")
    same(connection.rpush("plain", "x", "y"), 2)
    same(connection.lrange("plain", 0, -1), [b"x", b"y"])


for check in (values, times, patterns, structures):
    check()
cache.clear()
same(cache.get("page"), None)
