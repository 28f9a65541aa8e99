"""Subscribers and monitors."""

import queue
import threading
import time
import unittest

from nosqgrid.redis import PubSubError

from .servers import ServerTest, on_each_server

WAIT_S = 10.0


def message(kind, channel, data, pattern=None):
    """A message as a subscriber gives it."""
    return {"type": kind, "pattern": pattern, "channel": channel, "data": data}


class Messages(ServerTest):
    def subscriber(self, **options):
        """A subscriber that is closed after the test."""
        subscriber = self.r.pubsub(**options)
        self.addCleanup(subscriber.close)
        return subscriber

    def wait_until_listened_to(self, *channels):
        """Until the server knows of a subscription: publishing goes another way than subscribing."""
        give_up = time.monotonic() + WAIT_S
        while sum(count for _, count in self.r.pubsub_numsub(*channels)) < len(channels):
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.001)

    def test_channels_and_patterns(self):
        subscriber = self.subscriber()
        subscriber.subscribe("a", b"b")
        subscriber.psubscribe("p*")
        self.assertEqual([subscriber.get_message(timeout=WAIT_S) for _ in range(3)],
                         [message("subscribe", b"a", 1), message("subscribe", b"b", 2),
                          message("psubscribe", None, 3, b"p*")][:2] + [message("psubscribe", b"p*", 3)])
        self.assertEqual((self.r.publish("a", "1"), self.r.publish("pq", b"\xff"), self.r.publish("x", 1)), (1, 1, 0))
        self.assertEqual([subscriber.get_message(timeout=WAIT_S) for _ in range(2)],
                         [message("message", b"a", b"1"), message("pmessage", b"pq", b"\xff", b"p*")])
        self.assertIsNone(subscriber.get_message())
        self.assertEqual((sorted(self.r.pubsub_channels()), self.r.pubsub_numsub("a", "x"), self.r.pubsub_numpat()),
                         ([b"a", b"b"], [(b"a", 1), (b"x", 0)], 1))

    def test_leaving_ends_listen(self):
        subscriber = self.subscriber()
        subscriber.subscribe("a", "b")
        subscriber.unsubscribe("a")
        subscriber.unsubscribe()
        self.assertEqual([found["type"] for found in subscriber.listen()],
                         ["subscribe", "subscribe", "unsubscribe", "unsubscribe"])
        self.assertFalse(subscriber.subscribed)

    def test_handlers(self):
        subscriber, seen = self.subscriber(ignore_subscribe_messages=True), []
        subscriber.subscribe(a=seen.append)
        subscriber.psubscribe(**{"p*": seen.append})
        for _ in range(2):
            self.assertIsNone(subscriber.get_message(timeout=WAIT_S))
        self.r.publish("a", 1)
        self.r.publish("pq", 2)
        while len(seen) < 2:
            self.assertIsNone(subscriber.get_message(timeout=WAIT_S))
        self.assertEqual(seen, [message("message", b"a", b"1"), message("pmessage", b"pq", b"2", b"p*")])

    def test_text(self):
        client = self.client(decode_responses=True)
        subscriber = client.pubsub(ignore_subscribe_messages=True)
        self.addCleanup(subscriber.close)
        subscriber.subscribe("\u00e9")
        self.assertIsNone(subscriber.get_message(timeout=WAIT_S))
        self.r.publish("\u00e9", "\u00e8")
        self.assertEqual(subscriber.get_message(timeout=WAIT_S), message("message", "\u00e9", "\u00e8"))

    def test_resp3(self):
        client = self.client(protocol=3)
        subscriber = client.pubsub()
        self.addCleanup(subscriber.close)
        subscriber.subscribe("a")
        self.wait_until_listened_to("a")
        self.r.publish("a", "1")
        subscriber.ping("x")
        self.assertEqual([subscriber.get_message(timeout=WAIT_S)["type"] for _ in range(3)],
                         ["subscribe", "message", "pong"])

    def test_a_lost_connection_is_made_anew_and_subscribes_again(self):
        subscriber = self.subscriber()
        subscriber.subscribe("a")
        self.assertEqual(subscriber.get_message(timeout=WAIT_S)["type"], "subscribe")
        subscriber.connection.disconnect()
        self.assertEqual(subscriber.get_message(timeout=WAIT_S), message("subscribe", b"a", 1))
        self.r.publish("a", "still")
        self.assertEqual(subscriber.get_message(timeout=WAIT_S), message("message", b"a", b"still"))

    def test_a_thread_hands_messages_to_handlers(self):
        subscriber, seen = self.r.pubsub(), queue.Queue()
        subscriber.subscribe(a=seen.put)
        thread = subscriber.run_in_thread(sleep_time=0.05, daemon=True)
        self.wait_until_listened_to("a")
        self.r.publish("a", "1")
        self.assertEqual(seen.get(timeout=WAIT_S)["data"], b"1")
        thread.stop()
        thread.join(WAIT_S)
        self.assertFalse(thread.is_alive())
        self.assertIsNone(subscriber.connection)

    def test_errors_in_a_thread_go_to_its_exception_handler(self):
        subscriber, seen = self.r.pubsub(), queue.Queue()

        def fail(found):
            raise KeyError(found["data"])

        def note(error, where, thread):
            seen.put((type(error), where, thread))
            thread.stop()

        subscriber.subscribe(a=fail)
        thread = subscriber.run_in_thread(sleep_time=0.05, daemon=True, exception_handler=note)
        self.wait_until_listened_to("a")
        self.r.publish("a", "1")
        self.assertEqual(seen.get(timeout=WAIT_S), (KeyError, subscriber, thread))
        thread.join(WAIT_S)
        self.assertFalse(thread.is_alive())

    def test_what_is_not_allowed(self):
        subscriber = self.subscriber()
        with self.assertRaises(RuntimeError):
            subscriber.parse_response()
        self.assertIsNone(subscriber.get_message(timeout=0.01))
        subscriber.subscribe("a")
        with self.assertRaises(PubSubError):
            subscriber.run_in_thread()

    def test_health_checks_are_not_seen(self):
        client = self.client(health_check_interval=100)
        subscriber = client.pubsub()
        self.addCleanup(subscriber.close)
        subscriber.subscribe("a")
        self.assertEqual(subscriber.get_message(timeout=WAIT_S)["type"], "subscribe")
        subscriber.connection.next_health_check = 0
        self.assertIsNone(subscriber.get_message(timeout=WAIT_S))
        self.r.publish("a", "1")
        self.assertEqual(subscriber.get_message(timeout=WAIT_S), message("message", b"a", b"1"))

    def test_a_monitor_sees_commands(self):
        ready, seen = threading.Event(), queue.Queue()

        def watch():
            with self.client().monitor() as monitor:
                ready.set()
                for command in monitor.listen():
                    seen.put(command)
                    if command["command"].startswith("SET last"):
                        return

        thread = threading.Thread(target=watch)
        thread.start()
        self.assertTrue(ready.wait(WAIT_S))
        self.r.execute_command("SET", 'a "b"', "x\ny")
        self.r.execute_command("SET", "last", 1)
        thread.join(WAIT_S)
        commands = [seen.get(timeout=WAIT_S) for _ in range(seen.qsize())]
        found = [command for command in commands if command["command"].startswith("SET")]
        self.assertEqual([command["command"] for command in found], ['SET a "b" x\\ny', "SET last 1"])
        self.assertEqual((found[0]["db"], found[0]["client_type"]), (0, "unix"))


on_each_server(globals(), Messages)

if __name__ == "__main__":
    unittest.main()
