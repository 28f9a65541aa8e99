"""cachelib's RedisCache, which Flask's sessions and many others use."""

import sys

import redis
from cachelib import RedisCache
from same import same, wait_for

cache = RedisCache(host=redis.Redis.from_url(sys.argv[1]), key_prefix="app:", default_timeout=300)
same(cache.set("user", {"name": "Ada", "ids": [1, 2]}), True)
same(cache.get("user"), {"name": "Ada", "ids": [1, 2]})
same(cache.get("nothing"), None)
same(cache.add("user", 1), False)
same(cache.add("new", 1), True)
same(cache.has("new"), True)
same(cache.inc("hits", 3), 3)
same(cache.dec("hits"), 2)
same(cache.get("hits"), 2)
same(cache.set_many({"a": 1, "b": "two"}), ["a", "b"])
same(cache.get_many("a", "b", "c"), [1, "two", None])
same(cache.get_dict("a", "b"), {"a": 1, "b": "two"})
same(cache.delete_many("a", "b"), ["a", "b"])
same(cache.delete("new"), True)
same(cache.delete("new"), False)
cache.set("short", 1, timeout=1)
wait_for(lambda: cache.get("short") is None)
redis.Redis.from_url(sys.argv[1]).set("foreign", "stays")
same(bool(cache.clear()), True)
same((cache.get("user"), redis.Redis.from_url(sys.argv[1]).get("foreign")), (None, b"stays"))
