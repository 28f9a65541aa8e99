"""The asyncio client: commands, pipelines, messages, locks, pools, and what a cancelled task leaves behind."""

import asyncio
import gc
import unittest
import warnings

from nosqgrid.redis import asyncio as aredis
from tests.redis_client import servers
from tests.redis_client.servers import ServerTest, on_each_server


def run(coroutine):
    """Run a coroutine in an event loop of its own (asyncio.run is of 3.7)."""
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(asyncio.wait_for(coroutine, 30))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


class Asyncio(ServerTest):
    def run_with(self, function, **options):
        """Run function(client) with a client that is closed."""
        where = {"grid": self.server.path} if self.kind is servers.Attached else {"unix_socket_path": self.server.path}

        async def main():
            client = aredis.Redis(**dict(where, **options))
            try:
                return await function(client)
            finally:
                await client.aclose()

        return run(main())

    def test_commands_give_what_they_give_without_asyncio(self):
        async def calls(r):
            return [await r.set("a", 1), await r.get("a"), await r.get("b"), await r.mget("a", "b"),
                    await r.incr("a"), await r.hset("h", mapping={"x": 1}), await r.hgetall("h"),
                    await r.zadd("z", {"m": 1.5}), await r.zrange("z", 0, -1, withscores=True),
                    await r.exists("a", "zz"), await r.strlen("a"), await r.blpop("none", 0.05), await r.ping(),
                    await r.mget([]), [key async for key in r.scan_iter(match="h*")],
                    [pair async for pair in r.hscan_iter("h")]]
        self.assertEqual(self.run_with(calls), [
            True, b"1", None, [b"1", None], 2, 1, {b"x": b"1"}, 1, [(b"m", 1.5)], 1, 1, None, True, [], [b"h"],
            [(b"x", b"1")]])

    def test_text_and_resp3(self):
        async def calls(r):
            await r.set("a", "\u00e9")
            await r.hset("h", "f", "v")
            return await r.get("a"), await r.hgetall("h"), (await r.info("server"))["redis_mode"]
        self.assertEqual(self.run_with(calls, decode_responses=True, protocol=3),
                         ("\u00e9", {"f": "v"}, "standalone"))

    def test_errors(self):
        async def calls(r):
            await r.rpush("l", 1)
            for call in (r.get("l"), r.incr("l")):
                with self.assertRaises(aredis.ResponseError) as caught:
                    await call
                self.assertTrue(str(caught.exception).startswith("WRONGTYPE"))
            with self.assertRaises(aredis.DataError):
                await r.set("a", None)
            return await r.llen("l")
        self.assertEqual(self.run_with(calls), 1)

    def test_many_tasks_at_once(self):
        async def calls(r):
            return await asyncio.gather(*[r.incr("n") for _ in range(200)])
        self.assertEqual(sorted(self.run_with(calls)), list(range(1, 201)))

    def test_one_connection_for_all_tasks(self):
        async def calls(r):
            numbers = await asyncio.gather(*[r.client_id() for _ in range(20)])
            return len(set(numbers))
        self.assertEqual(self.run_with(calls, single_connection_client=True), 1)

    def test_pipelines(self):
        async def calls(r):
            async with r.pipeline() as pipe:
                first = await pipe.set("a", 1).incr("a").hgetall("none").execute()
            async with r.pipeline(transaction=False) as pipe:
                second = await pipe.lpush("a", 1).get("a").execute(raise_on_error=False)
            return first, second[1], type(second[0])
        self.assertEqual(self.run_with(calls), ([True, 2, {}], b"2", aredis.ResponseError))

    def test_watched_keys(self):
        async def calls(r):
            await r.set("a", 1)
            async with r.pipeline() as pipe:
                await pipe.watch("a")
                value = int(await pipe.get("a"))
                await r.set("a", 5)
                pipe.multi()
                pipe.set("a", value + 1)
                with self.assertRaises(aredis.WatchError):
                    await pipe.execute()

            async def add(pipe):
                value = int(await pipe.get("a"))
                pipe.multi()
                pipe.set("a", value + 1)
            return await r.transaction(add, "a"), await r.get("a")
        self.assertEqual(self.run_with(calls), ([True], b"6"))

    def test_messages(self):
        async def calls(r):
            seen = []

            async def handle(message):
                seen.append(message["data"])
            async with r.pubsub() as subscriber:
                await subscriber.subscribe("c", h=handle)
                await subscriber.psubscribe("p*")
                kinds = [(await subscriber.get_message(timeout=5))["type"] for _ in range(3)]
                await r.publish("c", "one")
                await r.publish("h", "two")
                await r.publish("pp", "three")
                found = []
                while len(found) < 2:
                    message = await subscriber.get_message(timeout=1)
                    if message:
                        found.append((message["type"], message["channel"], message["data"]))
                self.assertIsNone(await subscriber.get_message(timeout=0.01))
                await subscriber.unsubscribe()
                await subscriber.punsubscribe()
                left = [message["type"] async for message in subscriber.listen()]
            return kinds, found, seen, left
        self.assertEqual(self.run_with(calls), (
            ["subscribe", "subscribe", "psubscribe"],
            [("message", b"c", b"one"), ("pmessage", b"pp", b"three")], [b"two"],
            ["unsubscribe", "unsubscribe", "punsubscribe"]))

    def test_locks(self):
        async def calls(r):
            async with r.lock("L", timeout=10) as lock:
                other = r.lock("L", blocking_timeout=0.05, sleep=0.01)
                found = [await lock.owned(), await other.acquire(), await lock.extend(10), await lock.reacquire(),
                         await lock.locked()]
            return found + [await other.locked(), await other.acquire()]
        self.assertEqual(self.run_with(calls), [True, False, True, True, True, False, True])

    def test_a_cancelled_command_leaves_no_reply_behind(self):
        async def calls(r):
            await r.set("a", 1)
            task = asyncio.ensure_future(r.blpop("none", 0))
            await asyncio.sleep(0.05)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await r.rpush("none", "late")
            return await r.execute_command("GET", "a"), await r.lrange("none", 0, -1)
        self.assertEqual(self.run_with(calls, single_connection_client=True), (b"1", [b"late"]))

    def test_a_pool_that_waits(self):
        async def main():
            pool = aredis.BlockingConnectionPool(
                max_connections=2, timeout=0.1, connection_class=aredis.UnixDomainSocketConnection,
                path=self.server.path)
            r = aredis.Redis(connection_pool=pool)
            found = sorted(await asyncio.gather(*[r.incr("n") for _ in range(20)]))
            first, second = await pool.get_connection("_"), await pool.get_connection("_")
            with self.assertRaises(aredis.ConnectionError):
                await r.ping()
            await pool.release(first)
            await pool.release(second)
            found.append(await r.ping())
            await pool.aclose()
            return found
        self.assertEqual(run(main()), list(range(1, 21)) + [True])

    def test_a_client_goes_on_in_another_event_loop(self):
        client = aredis.Redis(unix_socket_path=self.server.path)
        self.assertIs(run(client.set("a", 1)), True)
        caught = warnings.catch_warnings()
        caught.__enter__()
        self.addCleanup(caught.__exit__, None, None, None)
        warnings.simplefilter("ignore", ResourceWarning)  # what the first loop has left open
        self.assertEqual(run(client.execute_command("GET", "a")), b"1")

        async def finish():
            await client.aclose()
        run(finish())
        gc.collect()

    def test_large_values_and_a_slow_reader(self):
        async def calls(r):
            value = b"x" * 3000000
            await r.set("big", value)
            found = await r.execute_command("GET", "big")
            async with r.pipeline(transaction=False) as pipe:
                for _ in range(5):
                    pipe.get("big")
                return found == value and all(part == value for part in await pipe.execute())
        self.assertIs(self.run_with(calls), True)

    def test_nobody_serves(self):
        async def main():
            with self.assertRaises(aredis.ConnectionError):
                await aredis.Redis(unix_socket_path=self.server.path + "-nobody").ping()
            return "refused"
        self.assertEqual(run(main()), "refused")

    def test_no_answer_in_time(self):
        async def calls(r):
            with self.assertRaises(aredis.TimeoutError):
                await r.execute_command("BLPOP", "none", 0)
            return await r.ping()
        self.assertIs(self.run_with(calls, socket_timeout=0.1), True)


on_each_server(globals(), Asyncio)

if __name__ == "__main__":
    unittest.main()
