"""Kill -9 at any moment takes nothing of lists, hashes, sets, sorted sets and streams that was answered, and leaves
nothing by halves: a client that speaks RESP works on all of them, also in transactions, while checkpoints are made.

The oracle.  What the client sends as its n-th command is a function of n; after a recovery all keys are as the commands
that were answered leave them, with or without the one that was under way.  NOSQGRID_TEST_FULL=1 does it more often.
"""

import json
import os
import random
import signal
import sys
import time
import unittest
import zlib

from tests.support.differential import RealClient
from tests.support.durable import FULL, SEED, DurableTestCase
from tests.support.tiers import slow

CYCLES = 60 if FULL else 3
LOAD_S = 0.03, 0.25
FAR_MS = 10 ** 10


def commands(number):
    """The words of what is sent as one: a command, or several between MULTI and EXEC."""
    chance = random.Random(zlib.crc32(b"structures %d" % number))
    few, value = chance.randrange(6), b"%d" % number
    long_value = value + b"x" * chance.choice((0, 10, 3000))
    one = [
        (b"RPUSH", b"l", long_value, value), (b"LPUSH", b"l", value), (b"LPOP", b"l"), (b"RPOP", b"l", b"2"),
        (b"LSET", b"l", b"0", value), (b"LTRIM", b"l", b"0", b"50"), (b"RPUSH", b"l", value),
        (b"HSET", b"h", b"f%d" % (number % 40), long_value), (b"HINCRBY", b"h", b"n", b"1"),
        (b"HDEL", b"h", b"f%d" % (few * 3)), (b"SADD", b"s", value, b"%d" % few), (b"SREM", b"s", b"%d" % few),
        (b"ZADD", b"z", b"%d" % few, b"m%d" % (number % 60)), (b"ZINCRBY", b"z", b"1.5", b"m%d" % few),
        (b"ZREM", b"z", b"m%d" % (few + 3)), (b"XADD", b"x", b"%d-1" % (number + 1), b"f", long_value),
        (b"XTRIM", b"x", b"MAXLEN", b"30"), (b"XGROUP", b"CREATE", b"x", b"g%d" % few, b"0", b"MKSTREAM"),
        (b"RENAME", b"l", b"l"), (b"RENAME", b"h", b"h2"), (b"DEL", b"h2"), (b"PEXPIRE", b"l", b"%d" % FAR_MS),
        (b"PERSIST", b"l"), (b"ZUNIONSTORE", b"z2", b"1", b"z"), (b"SUNIONSTORE", b"s2", b"s"), (b"DEL", b"s2"),
        (b"COPY", b"l", b"l2", b"REPLACE"), (b"SET", b"text", value)]
    if chance.random() < 0.25:
        return [(b"MULTI",)] + chance.sample(one, 4) + [(b"INCR", b"count"), (b"EXEC",)]
    return [chance.choice(one)]


def writer_program(path):
    """Send commands from the number in each line of the input on, until the coordinator is gone; then report."""
    print("ready", flush=True)
    for line in sys.stdin:
        number = json.loads(line)
        client = RealClient(path)
        print("attached", flush=True)
        sent = number
        try:
            while True:
                words = commands(number)
                sent = number + 1
                client.calls(words)
                number = sent
        except (OSError, EOFError, AssertionError):
            print(json.dumps({"sent": sent, "replied": number}), flush=True)
        client.close()


READING = ((b"LRANGE", b"l", b"0", b"-1"), (b"LRANGE", b"l2", b"0", b"-1"), (b"HGETALL", b"h"), (b"HGETALL", b"h2"),
           (b"SMEMBERS", b"s"), (b"SMEMBERS", b"s2"), (b"ZRANGE", b"z", b"0", b"-1", b"WITHSCORES"),
           (b"ZRANGE", b"z2", b"0", b"-1", b"WITHSCORES"), (b"XRANGE", b"x", b"-", b"+"), (b"XINFO", b"STREAM", b"x"),
           (b"XINFO", b"GROUPS", b"x"), (b"GET", b"text"), (b"GET", b"count"), (b"EXISTS", b"l"), (b"DBSIZE",))


class StructureKillsTest(DurableTestCase):
    def state(self, client):
        """All that there is, as replies; whether the list expires."""
        return client.calls(READING), client.call(b"TTL", b"l")[:2] == b":-"

    def reference(self):
        """A grid without a directory on which the commands are done that were answered; (client, next number)."""
        path = os.path.join(self.place, "r")
        self.serve(level="none", directory=os.path.join(self.place, "reference"), socket=path)
        return RealClient(path)

    def run_cycles(self, level):
        rng = random.Random(SEED)
        writer = self.spawn(writer_program, self.socket)
        self.assertEqual(writer.read_line(), "ready")
        reference, done, answered = self.reference(), 0, 0
        served = self.serve("--checkpoint-log-size", "20k", level=level)
        for cycle in range(CYCLES):
            writer.write_line(json.dumps(done))
            self.assertEqual(writer.read_line(), "attached")
            if cycle % 2:
                served.process.send_signal(signal.SIGUSR2)
            time.sleep(rng.uniform(*LOAD_S))
            served.kill()
            report = json.loads(writer.read_line())
            answered += report["replied"] - done
            while done < report["replied"]:
                reference.calls(commands(done))
                done += 1
            served = self.serve("--checkpoint-log-size", "20k", level=level)
            client = RealClient(self.socket)
            found = self.state(client)
            if found != self.state(reference):
                self.assertGreater(report["sent"], done)
                reference.calls(commands(done))
                done += 1
                self.assertEqual(found, self.state(reference),
                                 "level %s, command %d, NOSQGRID_TEST_SEED=%d" % (level, done, SEED))
            client.close()
        reference.close()
        writer.kill()
        writer.wait()
        self.assertGreater(answered, 10 * CYCLES)

    @slow
    def test_level_os(self):
        self.run_cycles("os")

    @slow
    def test_level_always(self):
        self.run_cycles("always")

    def test_a_clean_stop_and_a_level_without_a_log(self):
        served = self.serve(level="none")
        client, reference = RealClient(self.socket), self.reference()
        for number in range(400):
            client.calls(commands(number))
            reference.calls(commands(number))
        client.close()
        self.assertEqual(served.stop(), 0)
        self.serve(level="none")
        client = RealClient(self.socket)
        self.assertEqual(self.state(client), self.state(reference))
        client.close()
        reference.close()


if __name__ == "__main__":
    unittest.main()
