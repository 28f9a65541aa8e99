"""Streams compared with redis-server: random commands, trimming by whole nodes, and who waits for what.

Times differ between the two: idle times are left out of the comparison, and ids are given.
"""

import random
import re
import time

from tests.support.differential import DifferentialTest, encoded
from tests.support.engine_context import EngineContext
from tests.support.plain_replies import plain
from tests.support.tiers import FULL

SEQUENCES = 1000 if FULL else 60
LENGTH = 100

_idle_and_count = re.compile(rb":\d+\r\n(:\d+\r\n)")
_named_time = re.compile(rb"(idle|seen-time)\r\n:\d+\r\n")
_empty_nodes = re.compile(rb"length\r\n:0\r\n\$15\r\nradix-tree-keys\r\n:[01]\r\n\$16\r\nradix-tree-nodes\r\n:[12]\r\n")
_wall_time = re.compile(rb":\d{12,}\r\n")


def without_idle(reply):
    return _idle_and_count.sub(rb":idle\r\n\1", reply)


def without_times(reply):
    return _wall_time.sub(b":time\r\n", _named_time.sub(rb"\1\r\n:time\r\n", reply))


def without_what_differs(reply):
    """Times, the text of HELP, and the nodes of an empty stream: Redis may leave one without entries behind."""
    if b"subcommand> [" in reply:
        return b"help"
    return without_times(_empty_nodes.sub(b"length\r\n:0\r\n", reply))


class Maker:
    """Random commands, from one generator a sequence; some of them are spoilt."""

    rng = None
    top = 0

    def __call__(self, rng):
        if rng is not self.rng:
            self.rng, self.top = rng, 0
            return encoded(["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"])
        words = encoded(getattr(self, "on_" + rng.choice(self.NAMES))())
        if rng.random() < 0.06:
            place = rng.randrange(1, len(words) + 1)
            spoilt = rng.choice((b"x", b"0", b"-1", b"(5", b"*-1", b"COUNT", b"k", b"5-1-1", b"",
                                 b"99999999999999999999"))
            words[place:place + rng.choice((0, 1, 1))] = [spoilt] if rng.random() < 0.8 else []
        return words

    NAMES = (("add",) * 9 + ("range",) * 4 + ("read", "delete", "delete", "trim", "setid", "length", "info", "info")
             + ("drop",) + ("group",) * 4 + ("readgroup",) * 8 + ("ack",) * 3 + ("pending",) * 3 + ("claim",) * 4
             + ("autoclaim",) * 3)

    def key(self):
        return self.rng.choice(("s", "t", "t", "no", "k") if self.rng.random() < 0.2 else "s")

    def id(self):
        rng, number = self.rng, self.rng.randrange(self.top + 2)
        return rng.choice(("%d-%d" % (number, rng.randrange(2)), "%d-1" % number, "%d-1" % number, "%d" % number, "0"))

    def bound(self):
        return self.rng.choice(("-", "+", self.id(), self.id(), "(" + self.id()))

    def group(self):
        return self.rng.choice(("g", "h", "nog") if self.rng.random() < 0.2 else "g")

    def consumer(self):
        return self.rng.choice("abc")

    def flags(self, *choices):
        return [word for words in choices if self.rng.random() < 0.3 for word in words.split()]

    def on_add(self):
        rng = self.rng
        self.top += rng.randrange(3)
        entry_id = rng.choice((self.id(), "%d-*" % self.top, "%d-*" % self.top, "%d-1" % self.top, "%d-1" % self.top))
        if rng.random() < 0.002:
            entry_id = "18446744073709551615-18446744073709551615"
        trim = rng.choice(("MAXLEN %d", "MAXLEN = %d", "MAXLEN ~ %d", "MINID %d", "MINID ~ %d", "MAXLEN ~ %d LIMIT 5"))
        options = self.flags("NOMKSTREAM") + ([] if rng.random() < 0.8 else (trim % rng.randrange(12)).split())
        fields = ["f", rng.randrange(100)] if rng.random() < 0.7 else ["f", "v" * 300, "", "x"]
        return ["XADD", self.key()] + options + [entry_id] + fields

    def on_range(self):
        words = [self.rng.choice(("XRANGE", "XREVRANGE")), self.key(), self.bound(), self.bound()]
        return words + self.flags("COUNT %d" % self.rng.randrange(-1, 5))

    def on_length(self):
        return ["XLEN", self.key()]

    def on_read(self):
        rng, count = self.rng, self.rng.choice((1, 1, 2))
        keys, ids = [self.key() for _ in range(count)], [rng.choice((self.id(), "0", "$")) for _ in range(count)]
        return ["XREAD"] + self.flags("COUNT %d" % rng.randrange(4)) + ["STREAMS"] + keys + ids

    def on_delete(self):
        return ["XDEL", self.key()] + [self.id() for _ in range(self.rng.randrange(1, 5))]

    def on_trim(self):
        rng = self.rng
        return ["XTRIM", self.key(), rng.choice(("MAXLEN", "MINID"))] + rng.choice(([], ["="], ["~"])) + [
            rng.randrange(20)] + (["LIMIT", rng.randrange(200)] if rng.random() < 0.3 else [])

    def on_setid(self):
        options = self.flags("ENTRIESADDED %d" % self.rng.randrange(20), "MAXDELETEDID " + self.id())
        last_id = self.id() if self.rng.random() < 0.3 else "%d-%d" % (self.top, self.rng.randrange(5))
        return ["XSETID", self.key(), last_id] + options

    def on_info(self):
        return ["XINFO"] + self.rng.choice((
            ["STREAM", self.key()], ["STREAM", self.key(), "FULL"], ["STREAM", self.key(), "FULL", "COUNT", 2],
            ["GROUPS", self.key()], ["CONSUMERS", self.key(), self.group()]))

    def on_drop(self):
        return ["DEL", "s"] if self.rng.random() < 0.1 else ["SET", "k", "v"]

    def on_group(self):
        rng, key, group = self.rng, self.key(), self.group()
        read = self.flags("ENTRIESREAD %d" % rng.randrange(-1, 5))
        return ["XGROUP"] + rng.choice((
            ["CREATE", key, group, rng.choice(("$", "0", self.id()))] + self.flags("MKSTREAM") + read,
            ["CREATE", "s", "g", "0", "MKSTREAM"], ["SETID", key, group, rng.choice(("$", "0", self.id()))] + read,
            ["SETID", key, group, "0"], ["DESTROY", key, self.rng.choice("ghhh")],
            ["CREATECONSUMER", key, group, self.consumer()], ["DELCONSUMER", key, group, self.consumer()]))

    def on_readgroup(self):
        rng, count = self.rng, self.rng.choice((1, 1, 1, 2))
        keys, ids = [self.key() for _ in range(count)], [rng.choice((">", ">", "0", self.id())) for _ in range(count)]
        options = self.flags("COUNT %d" % rng.randrange(4), "NOACK")
        return ["XREADGROUP", "GROUP", self.group(), self.consumer()] + options + ["STREAMS"] + keys + ids

    def on_ack(self):
        return ["XACK", self.key(), self.group()] + [self.id() for _ in range(self.rng.randrange(1, 5))]

    def on_pending(self):
        words = ["XPENDING", self.key(), self.group()]
        if self.rng.random() < 0.4:
            return words
        return (words + self.flags("IDLE %d" % self.rng.choice((0, 10 ** 9))) + [self.bound(), self.bound(), 5]
                + self.flags(self.consumer()))

    def on_claim(self):
        rng = self.rng
        words = ["XCLAIM", self.key(), self.group(), self.consumer(), rng.choice((0, 0, 0, 10 ** 9))]
        return words + [self.id() for _ in range(rng.randrange(1, 5))] + self.flags(
            "IDLE %d" % rng.randrange(2), "TIME 5", "RETRYCOUNT %d" % rng.randrange(-1, 5), "FORCE", "FORCE", "JUSTID",
            "LASTID " + self.id())

    def on_autoclaim(self):
        return ["XAUTOCLAIM", self.key(), self.group(), self.consumer(), self.rng.choice((0, 0, 0, 10 ** 9)),
                self.bound()] + self.flags("COUNT %d" % self.rng.randrange(4), "JUSTID")


class StreamsTest(DifferentialTest):
    normalize = {b"XPENDING": without_idle, b"XINFO": without_what_differs, b"XGROUP": without_what_differs}

    def test_random_commands(self):
        self.compare(Maker(), SEQUENCES, LENGTH, seed="streams")

    def test_random_commands_in_resp3(self):
        self.compare(Maker(), SEQUENCES // 4, LENGTH, seed="streams-3", protocol=3)

    def test_events(self):
        client, listener = self.server.connect(), self.server.connect()
        self.addCleanup(client.close)
        self.addCleanup(listener.close)
        client.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
        self.addCleanup(client.call, "CONFIG", "SET", "notify-keyspace-events", "")
        listener.call("PSUBSCRIBE", "__keyevent@0__:*")
        for number in range(SEQUENCES // 4):
            rng, make_command = random.Random("events-%d" % number), Maker()
            commands = [make_command(rng) for _ in range(LENGTH)] + [[b"SET", b"end", b""]]
            client.calls([("FLUSHALL",)] + commands)
            theirs = [plain(listener.read())]
            while theirs[-1][-1] != "end":
                theirs.append(plain(listener.read()))
            context = EngineContext()
            context.pubsub.events = b"KEA"
            EngineContext(other=context).call("PSUBSCRIBE", "__keyevent@0__:*")
            for words in commands:
                context.call(*words)
            ours = [[part.decode("utf-8") for part in parts] for _, parts in context.pushed]
            ours, theirs = ([parts for parts in heard if parts[2].startswith("__keyevent@0__:x")]
                            for heard in (ours, theirs))
            self.assertGreater(len(theirs), 5)
            self.assertEqual(ours, theirs, number)

    def test_nodes_end_where_those_of_redis_do(self):
        def make_command(rng):
            number = make_command.number = make_command.number + 1
            kind = rng.random()
            if kind < 0.90:
                return ["XADD", "s", "%d-1" % number, "f", number]
            if kind < 0.96:
                return ["XDEL", "s"] + ["%d-1" % rng.randrange(1, number + 1) for _ in range(12)]
            if kind < 0.97:
                return ["XTRIM", "s", "MAXLEN", rng.randrange(600)]
            return ["XTRIM", "s"] + rng.choice((
                ["MAXLEN", "~", rng.randrange(700)], ["MINID", "~", rng.randrange(number)],
                ["MAXLEN", "~", rng.randrange(700), "LIMIT", rng.randrange(300)],
                ["MINID", rng.randrange(number // 2 + 1)]))

        for seed in range(8 if FULL else 2):
            make_command.number = 0
            self.compare(make_command, 1, 2000, seed="nodes-%d" % seed)


GROUP = "XGROUP CREATE s g $ MKSTREAM"
READ_GROUP = "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"
# (what is there, what a client waits with, what happens then)
BLOCKED = (
    ((GROUP,), READ_GROUP, ("XADD s 1 a 1",)),
    ((GROUP,), READ_GROUP, ("DEL s",)),
    ((GROUP,), READ_GROUP, ("UNLINK s",)),
    ((GROUP,), READ_GROUP, ("XGROUP DESTROY s g",)),
    ((GROUP,), READ_GROUP, ("SET s 1",)),
    ((GROUP,), READ_GROUP, ("FLUSHALL",)),
    ((GROUP,), READ_GROUP, ("PEXPIRE s -1",)),
    ((GROUP,), READ_GROUP, ("EXPIRE s 1000",)),
    ((GROUP,), READ_GROUP, ("MULTI", "DEL s", "XADD s 1 a 1", "EXEC")),
    ((GROUP,), READ_GROUP, ("MULTI", "DEL s", GROUP, "EXEC")),
    ((GROUP,), READ_GROUP, ("MULTI", "DEL s", GROUP, "XADD s 1 a 1", "EXEC")),
    ((GROUP,), READ_GROUP, ("MULTI", "XADD s 1 a 1", "XDEL s 1", "EXEC")),
    ((GROUP,), READ_GROUP, ("MULTI", "XADD s 1 a 1", "XGROUP DESTROY s g", "EXEC")),
    ((GROUP,), READ_GROUP, ("MULTI", "XGROUP DESTROY s g", "XGROUP CREATE s g 0", "EXEC")),
    ((GROUP, "XADD s 1 a 1", "XGROUP SETID s g $"), READ_GROUP, ("XGROUP SETID s g 0",)),
    ((GROUP, "XADD s 1 a 1", "XGROUP SETID s g $"), READ_GROUP, ("XGROUP SETID s g 0", "XADD s 2 a 1")),
    ((GROUP,), READ_GROUP, ("XSETID s 9",)),
    ((GROUP,), READ_GROUP, ("XGROUP CREATE s h 0", "XGROUP CREATECONSUMER s g d", "XTRIM s MAXLEN 0")),
    ((GROUP,), "XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS s >", ("XADD s 1 a 1",)),
    ((GROUP,), "XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS s >", ("MULTI", "XADD s 1 a 1", "XADD s 2 a 1", "EXEC")),
    ((GROUP, "XGROUP CREATE t g $ MKSTREAM"), "XREADGROUP GROUP g c BLOCK 0 STREAMS s t > >", ("DEL t",)),
    ((GROUP, "XGROUP CREATE t g $ MKSTREAM"), "XREADGROUP GROUP g c BLOCK 0 STREAMS s t > >", ("XADD t 1 a 1",)),
    ((GROUP,), "XREADGROUP GROUP g c BLOCK 0 STREAMS s s > >", ("XADD s 1 a 1",)),
    ((), "XREAD BLOCK 0 STREAMS s $", ("XADD s 1-1 a 1",)),
    (("XADD s 5 a 1",), "XREAD BLOCK 0 STREAMS s $", ("DEL s",)),
    ((GROUP,), "XREAD BLOCK 0 STREAMS s $", ("MULTI", "XADD s 1 a 1", "XDEL s 1", "EXEC")),
    ((GROUP,), "XREAD BLOCK 0 STREAMS s $", ("MULTI", "XADD s 1 a 1", "XADD s MAXLEN 0 2 a 1", "EXEC")),
    ((), "XREAD BLOCK 0 STREAMS s t $ $", ("MULTI", "XADD t 1 a 1", "XADD s 2 a 1", "EXEC")),
    ((), "XREAD BLOCK 0 STREAMS s $", ("SET s 1",)),
    ((), "XREAD BLOCK 0 STREAMS s $", ("SET s 1", "DEL s", "XADD s 1-1 a 1")),
    (("XADD s 5 a 1", "DEL s"), "XREAD BLOCK 0 STREAMS s $", ("XADD s 1-1 a 1",)),
    (("XADD s 5 a 1",), "XREAD BLOCK 0 STREAMS s 5", ("DEL s", "XADD s 1-1 a 1")),
    (("XADD s 5 a 1",), "XREAD BLOCK 0 STREAMS s 5", ("DEL s", "XADD s 1-1 a 1", "XADD s 6 a 1")),
    (("XADD s 5 a 1",), "XREAD BLOCK 0 STREAMS s 5", ("DEL s", "XADD s 6 a 1")),
    (("XADD s 5 a 1",), "XREAD BLOCK 0 STREAMS s 5", ("XSETID s 7",)),
    (("XADD s 5 a 1",), "XREAD COUNT 1 BLOCK 0 STREAMS s $", ("MULTI", "XADD s 6 a 1", "XADD s 7 a 1", "EXEC")),
    ((), "XREAD BLOCK 0 STREAMS s s 0 5", ("XADD s 1 a 1",)),
    ((), "XREAD BLOCK 0 STREAMS s s 5 0", ("XADD s 1 a 1",)),
    ((), "XREAD BLOCK 0 STREAMS s 18446744073709551615-18446744073709551615", ("XADD s 1 a 1",)),
)
AFTERWARDS = ("XINFO GROUPS s", "XINFO CONSUMERS s g", "XPENDING s g - + 10", "XRANGE s - +")
BLOCKED_WITHIN_S = 10.0


class BlockedTest(DifferentialTest):
    """Who waits is answered with the same, or left waiting by both."""

    def redis_answer(self, before, waits, then):
        """(what the waiting client was answered, or None; what the others were)."""
        other, client = self.server.connect(), self.server.connect()
        self.addCleanup(other.close)
        self.addCleanup(client.close)
        other.calls([("FLUSHALL",)] + [line.split() for line in before])
        number = client.call("CLIENT", "ID")[1:-2]
        client._sock.sendall(b" ".join(encoded(waits.split())) + b"\r\n")
        give_up = time.monotonic() + BLOCKED_WITHIN_S
        while b"blocked_clients:1\r\n" not in other.call("INFO", "clients"):
            self.assertLess(time.monotonic(), give_up, waits)
        replies = other.calls([line.split() for line in then])
        still = other.call("CLIENT", "UNBLOCK", number) == b":1\r\n"
        answer = client.read()
        after = [without_times(without_idle(reply)) for reply in other.calls([line.split() for line in AFTERWARDS])]
        return None if still else answer, replies, after

    def our_answer(self, before, waits, then):
        other = EngineContext()
        for line in before:
            other.call(*line.split())
        client = EngineContext(other=other)
        self.assertIs(client.run(encoded(waits.split())), client.deferred)
        replies = [other.call(*line.split()) for line in then]
        answers = other.answers()
        self.assertLess(len(answers), 2, waits)
        after = [without_times(without_idle(other.call(*line.split()))) for line in AFTERWARDS]
        other.keyspace.check()
        return answers[0][1] if answers else None, replies, after

    def test_the_same_happens(self):
        for before, waits, then in BLOCKED:
            self.assertEqual(self.our_answer(before, waits, then), self.redis_answer(before, waits, then),
                             (before, waits, then))
