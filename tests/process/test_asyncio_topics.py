"""Topics and listeners for asyncio."""

import asyncio
import unittest

from nosqgrid import errors
from tests.support.asynchronous import AioTestCase


class TopicTest(AioTestCase):
    def test_messages_come_to_all_who_subscribed(self):
        async def read(subscription, count):
            found = []
            async with subscription:
                async for message in subscription:
                    found.append((message.seq, message.value))
                    if len(found) == count:
                        return found

        async def main():
            topic = self.aio.topic("news")
            tasks = [self.task(read(self.aio.subscribe("news", since="oldest"), 3)) for _ in range(3)]
            await self.waits(3)
            self.assertEqual(await topic.publish("a"), 1)
            self.grid.topic("news").publish("b")
            await topic.publish({"c": 3})
            for found in await asyncio.gather(*tasks):
                self.assertEqual(found, [(1, "a"), (2, "b"), (3, {"c": 3})])
            self.assertEqual((await topic.info())["last"], 3)
            self.assertEqual(await self.aio.topics(), ["news"])
            self.assertTrue(await topic.drop())
            self.assertIsNone(await topic.info())

        self.run_(main())

    def test_a_subscription_begins_where_it_is_awaited(self):
        async def main():
            topic = self.aio.topic("news")
            await topic.publish("before")
            subscription = await topic.subscribe()
            await topic.publish("after")
            async for message in subscription:
                self.assertEqual((message.value, message.missed), ("after", 0))
                break
            self.assertIsNone(await subscription.get(timeout=0.01))
            await subscription.seek("oldest")
            self.assertEqual((await subscription.get(0)).value, "before")
            await subscription.close()
            with self.assertRaises(errors.ClosedError):
                await subscription.get()
            self.assertEqual([each async for each in subscription], [])

        self.run_(main())

    def test_a_cancelled_get_has_lost_nothing(self):
        async def main():
            subscription = await self.aio.subscribe("news")
            for number in range(20):
                task = self.task(subscription.get())
                await self.waits()
                self.grid.topic("news").publish(number)
                for _ in range(number % 4):
                    await asyncio.sleep(0.0005 * (number % 3))
                if not await self.cancelled(task):
                    self.assertEqual(task.result().value, number)
                else:
                    self.assertEqual((await subscription.get()).value, number)
            self.assertEqual(subscription.missed, 0)

        self.run_(main())

    def test_listening(self):
        async def main():
            async with self.aio.listen("user:", events=("set", "delete")) as listener:
                self.grid["user:1"] = 5
                self.grid["other"] = 5
                task = self.task(self.second(listener))
                await self.waits()
                del self.grid["user:1"]
                self.assertEqual(await task, [("set", "user:1"), ("delete", "user:1")])
                cursor = listener.cursor
                self.grid["user:2"] = 6
            self.assertEqual([each async for each in listener], [])
            with self.assertRaises(errors.CursorLostError):
                await self.aio.listen("user:", events=("set", "delete"), since=cursor)

        self.run_(main())

    async def second(self, listener):
        """The first two events."""
        found = []
        async for event in listener:
            found.append((event.kind, event.key))
            if len(found) == 2:
                return found


if __name__ == "__main__":
    unittest.main()
