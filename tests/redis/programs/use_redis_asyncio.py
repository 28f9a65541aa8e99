"""redis.asyncio: the arguments are an address and the version of the protocol, 2 or 3."""

import asyncio
import sys

import redis.asyncio as redis
from same import same

url, protocol = sys.argv[1], int(sys.argv[2])


async def many(client):
    """Much at once over a pool of connections, none of it lost."""
    same(sorted(await asyncio.gather(*[client.incr("n") for _ in range(50)])), list(range(1, 51)))
    same(await client.get("n"), "50")
    async with client.pipeline(transaction=True) as pipe:
        same(await pipe.set("t", "1").incr("t").hset("h", "a", "b").execute(), [True, 2, 1])
    same(await client.hgetall("h"), {"a": "b"})
    same(sorted([key async for key in client.scan_iter(match="?")]), ["h", "n", "t"])


async def waiting(client):
    """A task waits for a list, another fills it."""
    task = asyncio.ensure_future(client.blpop("queue", timeout=20))
    while not (await client.info("clients"))["blocked_clients"]:
        await asyncio.sleep(0.01)
    await client.rpush("queue", "job")
    same(tuple(await task), ("queue", "job"))


async def messages(client):
    """A subscription, and a transaction that is disturbed."""
    async with client.pubsub() as listener:
        await listener.subscribe("news")
        same((await listener.get_message(timeout=10))["type"], "subscribe")
        same(await client.publish("news", "hello"), 1)
        message = await listener.get_message(timeout=10)
        same((message["type"], message["data"]), ("message", "hello"))
    async with client.pipeline() as pipe:
        await pipe.watch("t")
        await client.set("t", "9")
        pipe.multi()
        pipe.set("t", "lost")
        try:
            await pipe.execute()
        except redis.WatchError:
            same(await client.get("t"), "9")
        else:
            raise AssertionError("a watched key was changed and the transaction ran")


async def main():
    """All of it over one client."""
    client = redis.from_url(url, decode_responses=True, protocol=protocol)
    await client.flushdb()
    await many(client)
    await waiting(client)
    await messages(client)
    await client.aclose()


asyncio.run(main())
