"""aiocache, which speaks TCP only.  Its locks and compare-and-set send scripts and are left out."""

import asyncio
import sys

from aiocache import Cache, cached
from aiocache.serializers import JsonSerializer, PickleSerializer
from same import place, same

where = place(sys.argv[1])
options = {"endpoint": where["host"], "port": where["port"]}
calls = []


@cached(ttl=60, cache=Cache.REDIS, key_builder=lambda function, number: "double:%d" % number, namespace="f",
        serializer=JsonSerializer(), **options)
async def double(number):
    """A function whose results are kept."""
    calls.append(number)
    return 2 * number


async def main():
    """Values, counters, times, and a function."""
    async with Cache(Cache.REDIS, namespace="n", serializer=PickleSerializer(), **options) as cache:
        same(await cache.set("a", {"b": {1, 2}}), True)
        same(await cache.get("a"), {"b": {1, 2}})
        same(await cache.get("nothing", default=3), 3)
        try:
            await cache.add("a", 1)
        except ValueError as error:
            same("already exists" in str(error), True)
        else:
            raise AssertionError("added what was there")
        same(await cache.multi_set([("x", 1), ("y", [2])], ttl=60), True)
        same(await cache.multi_get(["x", "y", "z"]), [1, [2], None])
        same(await cache.exists("x"), True)
        same(await cache.expire("x", 1), True)
        for _ in range(1000):
            if not await cache.exists("x"):
                break
            await asyncio.sleep(0.01)
        same(await cache.exists("x"), False)
        same(await cache.delete("y"), 1)
        same(await cache.increment("hits", 5), 5)
        same(await cache.clear(), True)
        same(await cache.get("a"), None)
    same([await double(1), await double(2), await double(1), calls], [2, 4, 2, [1, 2]])
    await double.cache.close()


asyncio.run(main())
