"""CLIENT TRACKING on coordinators: what a real redis-server pushes to whom, we push, too, whoever makes the change."""

import os
import shutil
import tempfile
import unittest

import nosqgrid
from nosqgrid.client import launcher
from tests.support.differential import SERVER, RealClient, RealServer
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import slow

# Steps: "a>" sends the words on a connection and reads the reply; "a<" reads one message more; "a-" is silent.
# %a stands for the number of a connection.
SCRIPTS = {
    "errors": """a> CLIENT TRACKING|a> CLIENT TRACKING MAYBE|a> CLIENT TRACKING ON FOO|a> CLIENT TRACKING ON PREFIX x
        a> CLIENT TRACKING ON PREFIX|a> CLIENT TRACKING ON REDIRECT|a> CLIENT TRACKING ON REDIRECT x
        a> CLIENT TRACKING ON REDIRECT 123456|a> CLIENT TRACKING ON REDIRECT %b REDIRECT %b
        a> CLIENT TRACKING ON BCAST OPTIN|a> CLIENT TRACKING ON OPTIN OPTOUT|a> CLIENT CACHING yes
        a> CLIENT GETREDIR|a> CLIENT TRACKINGINFO|a> CLIENT TRACKING ON OPTIN|a> CLIENT TRACKING ON OPTOUT
        a> CLIENT CACHING no|a> CLIENT CACHING maybe|a> CLIENT CACHING|a> CLIENT TRACKING ON BCAST
        a> CLIENT TRACKING OFF|a> CLIENT TRACKING OFF|a> CLIENT TRACKING ON OPTOUT|a> CLIENT CACHING yes
        a> CLIENT TRACKING ON OPTIN|a> CLIENT TRACKING OFF FOO|a> CLIENT TRACKING OFF
        a> CLIENT TRACKING ON BCAST PREFIX ab PREFIX a|a> CLIENT TRACKING ON BCAST PREFIX a PREFIX ab
        a> CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar|a> CLIENT TRACKING ON BCAST PREFIX fo|a> CLIENT TRACKINGINFO
        a> CLIENT TRACKING ON BCAST PREFIX fool|a> CLIENT TRACKING ON BCAST PREFIX baz|a> CLIENT TRACKINGINFO
        a> CLIENT TRACKING ON BCAST|a> CLIENT TRACKINGINFO|a> CLIENT TRACKING ON|a> CLIENT TRACKING OFF
        a> CLIENT GETREDIR X|a> CLIENT TRACKINGINFO X""",
    "infos": """a> CLIENT TRACKING ON|a> CLIENT TRACKINGINFO|a> CLIENT GETREDIR|a> CLIENT TRACKING ON NOLOOP REDIRECT %b
        a> CLIENT TRACKINGINFO|a> CLIENT GETREDIR|a> CLIENT TRACKING ON OPTIN|a> CLIENT CACHING yes
        a> CLIENT TRACKINGINFO|a> CLIENT ID|a> CLIENT TRACKINGINFO|a> PING|a> CLIENT TRACKINGINFO
        a> CLIENT TRACKING OFF|a> CLIENT TRACKING ON OPTOUT|a> CLIENT CACHING no|a> CLIENT TRACKINGINFO
        a> NOSUCH|a> CLIENT TRACKINGINFO|a> CLIENT TRACKING ON|a> CLIENT TRACKINGINFO|a> HELLO 3
        a> CLIENT TRACKINGINFO|a> RESET|a> CLIENT TRACKINGINFO""",
    "pushes": """a> HELLO 3|a> CLIENT TRACKING ON|a> GET k|b> SET k 1|a<|b> SET k 2|a-|a> MGET k l|b> MSET l 1 k 2|a<|a<
        a> GET k|b> EXPIRE k 100|a<|a> TTL k|b> PERSIST k|a<|a> EXISTS k|b> APPEND k x|a<|a> GET k|b> DEL k|a<
        a> GET k|b> SETRANGE k 0 abc|a<|a> GET k|b> RENAME k m|a<|a> HGET h f|b> HSET h f v|a<|b> HSET h f w|a-
        a> LRANGE l 0 -1|a> TYPE list|b> RPUSH list 1|a<|a> LLEN list|b> LPOP list|a<|a> SMEMBERS s|b> SADD s 1|a<
        a> ZCARD z|b> ZADD z 1 a|a<|a> XLEN x|b> XADD x 1-1 f v|a<|a> BITCOUNT n|b> INCR n|a<|a> STRLEN n
        b> SET n 1 NX|a-|b> COPY z n REPLACE|a<|a> OBJECT ENCODING n|b> SORT s STORE n|a<|a> GET n|b> DEL n|a<""",
    "redirected": """b> SUBSCRIBE __redis__:invalidate|a> CLIENT TRACKING ON REDIRECT %b|a> GET k|c> SET k 1|b<|a> GET k
        a> SET k 2|b<|a> CLIENT TRACKING OFF|c> SET k 3|b-|a> CLIENT TRACKING ON REDIRECT %b|a> GET k|c> FLUSHDB|b<
        a> GET k|c> FLUSHALL|b<""",
    "redirected to RESP3": """b> HELLO 3|a> HELLO 3|a> CLIENT TRACKING ON REDIRECT %b|a> GET k|c> SET k 1|b<|a-
        c> FLUSHALL|b<|a-""",
    "redirected to nobody who listens": """a> CLIENT TRACKING ON REDIRECT %b|a> GET k|c> SET k 1|b-|a-|b> PING
        a> CLIENT TRACKINGINFO""",
    "RESP2 hears nothing": "a> CLIENT TRACKING ON|a> GET k|b> SET k 1|a-|a> PING|a> CLIENT TRACKINGINFO",
    "own changes": """a> HELLO 3|a> CLIENT TRACKING ON|a> GET k|a> SET k 1|a<|a> SET k 2|a-|a> GET k|a> FLUSHALL|a<
        a> CLIENT TRACKING ON NOLOOP|a> GET k|a> SET k 3|a-|a> GET k|b> SET k 1|a<|a> MULTI|a> GET k|a> SET k 1
        a> EXEC|a-|a> FLUSHALL|a<""",
    "transactions": """a> HELLO 3|a> CLIENT TRACKING ON|a> GET k|a> GET l|a> MULTI|a> INCR k|a> GET m|a> INCR l|a> EXEC
        a<|a<
        b> SET m 1|a<|b> SET k 1|a-|a> MULTI|a> SET k 2|a> GET k|a> EXEC|a-|b> SET k 3|a<|a> GET k
        b> MULTI|b> INCR k|b> INCR k|b> FLUSHALL|a-|b> EXEC|a<|a<""",
    "only what was asked for": """a> HELLO 3|a> CLIENT TRACKING ON OPTIN|a> GET k|b> SET k 1|a-|a> CLIENT CACHING yes
        a> GET k
        b> SET k 2|a<|a> GET k|b> SET k 3|a-|a> CLIENT CACHING yes|a> MULTI|a> GET k|a> GET l|a> EXEC|b> MSET k 1 l 2
        a<|a<|a> MULTI|a> CLIENT CACHING yes|a> GET k|a> EXEC|b> SET k 1|a<|a> CLIENT TRACKING OFF
        a> CLIENT TRACKING ON OPTOUT|a> GET k|b> SET k 4|a<|a> CLIENT CACHING no|a> GET k|b> SET k 5|a-""",
    "broadcasts": """a> HELLO 3|a> CLIENT TRACKING ON BCAST|b> SET k 1|a<|b> SET k 2|a<|b> MSET x 1 b 2 a 3|a<
        b> DEL none|a-
        b> DEL k|a<|a> SET own 1|a<|b> FLUSHDB|a<|a> CLIENT TRACKING OFF|b> SET k 1|a-
        a> CLIENT TRACKING ON BCAST PREFIX one: PREFIX two:|b> MSET one:1 1 three:3 1|a<|b> MSET two:b 1 two:a 2|a<
        b> SET three 1|a-|a> CLIENT TRACKING OFF|a> CLIENT TRACKING ON BCAST PREFIX p NOLOOP|a> SET p1 1|a-|b> SET p2 1
        a<|b> SET p1 2|a<""",
    "from one way to the other": """a> HELLO 3|a> CLIENT TRACKING ON|a> SET k 1|a> GET k|a> CLIENT TRACKING OFF
        a> CLIENT TRACKING ON BCAST|a> INCR k|a<|a> PING|a-""",
    "databases": """a> HELLO 3|a> CLIENT TRACKING ON|a> GET k|b> SELECT 1|b> SET k 1|a<|a> SELECT 1|a> GET k|c> SET k 1
        a<|a> GET k
        c> FLUSHDB|a<|c> SET k 1|a-|a> GET k|b> FLUSHDB|a<|c> SET k 1|a-""",
    "more than one": """a> HELLO 3|b> HELLO 3|a> CLIENT TRACKING ON|b> CLIENT TRACKING ON BCAST PREFIX k|a> GET k
        c> SET k 1
        a<|b<|a> GET k|b> SET k 2|a<|b<""",
    "the replies stay out": """a> HELLO 3|a> CLIENT TRACKING ON|a> GET k|a> GET l|a> MGET k l m|b> MSET k 1 l 2 m 3|a<
        a<|a<
        a> WATCH k|a> GET k|b> SET k 1|a<|a> MULTI|a> PING|a> EXEC""",
    "errors are answers": """a> HELLO 3|a> CLIENT TRACKING ON|b> LPUSH l 1|a> GET l|b> DEL l|a<|a> GET""",
    "changes of blocked clients": """a> HELLO 3|a> CLIENT TRACKING ON|a> LLEN l|b! BLPOP l 0|a> LLEN m|c> RPUSH l 1 2
        a<|b<
        a> LRANGE l 0 -1|c> LPOP l|a<""",
}


class Players(object):
    """Connections by letter, on one server."""

    def __init__(self, path):
        self.path, self.clients, self.ids = path, {}, {}
        for letter in "abc":
            self.clients[letter] = RealClient(path)
            self.ids["%" + letter] = self.clients[letter].call("CLIENT", "ID")[1:-2].decode()

    def play(self, script):
        """[what came], numbers of connections shown by their letters."""
        found = []
        for step in script.replace("\n", "|").split("|"):
            letter, kind, words = step.strip()[0], step.strip()[1], step.strip()[2:].split()
            client = self.clients[letter]
            if kind == ">":
                found.append((step.strip(), client.call(*[self.ids.get(word, word) for word in words])))
            elif kind == "!":
                client.send(*words)
            elif kind == "<":
                found.append((step.strip(), client.read(10)))
            else:
                try:
                    found.append((step.strip(), client.read(0.02)))
                except OSError:
                    found.append((step.strip(), b"silence"))
        return [(step, self._shown(reply) if "CLIENT" in step or "HELLO" in step else reply) for step, reply in found]

    def _shown(self, reply):
        for letter, number in self.ids.items():
            reply = reply.replace(b":%b\r\n" % number.encode(), b":%b\r\n" % letter.encode())
        return b"the server" if b"redis_mode" in reply or b"standalone" in reply else reply

    def close(self):
        for client in self.clients.values():
            client.close()


class TrackingTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.players = []

    def tearDown(self):
        for players in self.players:
            players.close()
        super().tearDown()

    def start(self, *extra_args):
        launched = launcher.start(memory="16m", extra_args=extra_args)
        self.addCleanup(launched.stop)
        return launched

    def join(self, path):
        self.players.append(Players(path))
        return self.players[-1]


@unittest.skipIf(SERVER is None, "redis-server is not installed here")
class ComparedTest(TrackingTest):
    @slow
    def test_every_script_as_with_a_real_server(self):
        real, ours = RealServer(), self.start()
        try:
            for name, script in SCRIPTS.items():
                with self.subTest(name):
                    there, here = self.join(real.path), self.join(ours.address)
                    there.play("a> FLUSHALL"), here.play("a> FLUSHALL")
                    expected, found = there.play(script), here.play(script)
                    self.assertEqual(found, expected)
                    self.assertGreater(len(found), 5)
        finally:
            for players in self.players:
                players.close()
            real.close()
            ours.stop()


class CoordinatorTest(TrackingTest):
    def setUp(self):
        super().setUp()
        self.launched = self.start()
        self.people = self.join(self.launched.address)
        self.a, self.b = self.people.clients["a"], self.people.clients["b"]

    def tearDown(self):
        for players in self.players:
            players.close()
        self.launched.stop()
        super().tearDown()

    def track(self, client, *options):
        client.call("HELLO", "3")
        self.assertEqual(client.call("CLIENT", "TRACKING", "ON", *options), b"+OK\r\n")

    def invalidated(self, *names):
        encoded = b"*%d\r\n" % len(names) + b"".join(b"$%d\r\n%b\r\n" % (len(name), name) for name in names)
        return b">2\r\n$10\r\ninvalidate\r\n" + encoded

    def info(self, name):
        lines = self.b.call("INFO").split(b"\r\n")
        return int(next(line for line in lines if line.startswith(name + b":")).split(b":")[1])

    def test_keys_that_expire_are_told(self):
        self.track(self.a)
        self.a.call("SET", "k", "1", "PX", "500")  # which is still there when it is read
        self.a.call("GET", "k")
        self.assertEqual(self.a.read(), self.invalidated(b"k"))
        self.track(self.b, "BCAST")
        self.b.call("SET", "l", "1", "PX", "5")
        self.assertEqual([self.b.read(), self.b.read()], [self.invalidated(b"l")] * 2)

    def test_a_redirection_ends_with_its_connection(self):
        self.a.call("HELLO", "3")
        self.a.call("CLIENT", "TRACKING", "ON", "REDIRECT", self.people.ids["%b"])
        self.a.call("GET", "k")
        self.b.close()
        other = self.people.clients["c"]
        wait_until(lambda: b"id=" + self.people.ids["%b"].encode() + b" " not in other.call("CLIENT", "LIST"))
        self.assertNotIn(b"flags=tR", self.a.call("CLIENT", "INFO"))
        other.call("SET", "k", "1")
        self.assertEqual(self.a.read(), b">2\r\n$21\r\ntracking-redir-broken\r\n:%b\r\n"
                         % self.people.ids["%b"].encode())
        self.assertIn(b"broken_redirect", self.a.call("CLIENT", "TRACKINGINFO"))
        line = self.a.call("CLIENT", "INFO")
        self.assertIn(b"flags=tRU", line)
        self.assertIn(b" redir=%b " % self.people.ids["%b"].encode(), line)
        self.a.call("CLIENT", "TRACKING", "ON")
        self.assertNotIn(b"broken_redirect", self.a.call("CLIENT", "TRACKINGINFO"))

    def test_the_numbers_of_info(self):
        self.track(self.a)
        self.a.call("MGET", "k", "l")
        self.track(self.people.clients["c"])
        self.people.clients["c"].call("MGET", "k", "m")
        self.track(self.b, "BCAST", "PREFIX", "p:", "PREFIX", "q:")
        names = (b"tracking_clients", b"tracking_total_keys", b"tracking_total_items", b"tracking_total_prefixes")
        self.assertEqual([self.info(name) for name in names], [3, 3, 4, 2])
        self.b.call("DEL", "k")
        self.b.call("SET", "k", "1")
        self.assertEqual([self.info(name) for name in names], [3, 2, 2, 2])
        self.assertIn(b"flags=tBU", self.b.call("CLIENT", "INFO"))
        self.b.call("CLIENT", "TRACKING", "OFF")
        self.a.close()
        self.people.clients["c"].close()
        wait_until(lambda: [self.info(name) for name in names] == [0, 0, 0, 0])

    def test_the_table_is_bounded(self):
        self.track(self.a)
        self.b.call("CONFIG", "SET", "tracking-table-max-keys", "2")
        self.assertEqual(self.a.call("MGET", "x", "y", "z"), b"*3\r\n_\r\n_\r\n_\r\n")
        self.assertEqual(self.a.read(), self.invalidated(b"x"))
        self.b.call("SET", "z", "1")
        self.assertEqual(self.a.read(), self.invalidated(b"z"))
        self.a.call("GET", "x")
        self.b.call("CONFIG", "SET", "tracking-table-max-keys", "1")
        self.assertEqual(self.a.read(), self.invalidated(b"y"))
        self.b.call("CONFIG", "SET", "tracking-table-max-keys", "0")
        self.a.call("MGET", *"abcdefgh")
        self.assertEqual(self.info(b"tracking_total_keys"), 9)

    @slow
    def test_what_is_evicted_is_told(self):
        evicting = self.start("--policy", "lru")
        people = self.join(evicting.address)
        reader, writer = people.clients["a"], people.clients["b"]
        self.track(reader)
        for number in range(64):
            writer.call("SET", "old:%d" % number, "v" * 1000)
            reader.call("GET", "old:%d" % number)
        for number in range(30000):
            writer.send("SET", "k%d" % number, "v" * 1000)
            self.assertEqual(writer.read(), b"+OK\r\n")
            if reader.answered():
                break
        self.assertTrue(reader.read().startswith(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$"))
        for players in self.players:
            players.close()
        evicting.stop()

    def test_changes_of_the_grids_own_clients_are_told_before_they_are_answered(self):
        self.track(self.a)
        self.track(self.b, "BCAST", "PREFIX", "x")
        with nosqgrid.attach(self.launched.address) as grid:
            for change in (lambda: grid.set("k", "1"), lambda: grid.delete("k"),
                           lambda: grid.set_many({"k": 1, "l": 2})):
                self.a.call("MGET", "k", "l")
                change()
                self.assertTrue(self.a.answered())
                self.assertEqual(self.a.read(), self.invalidated(b"k"))
            self.assertEqual(self.a.read(), self.invalidated(b"l"))
            self.assertFalse(self.b.answered())
            for number in range(50):
                grid.set("x%d" % number, number)
                self.assertEqual(self.b.read(), self.invalidated(b"x%d" % number))
            self.a.call("GET", "k")
            grid.clear()
            self.assertEqual(self.a.read(), b">2\r\n$10\r\ninvalidate\r\n_\r\n")
            self.assertEqual(self.b.read(), b">2\r\n$10\r\ninvalidate\r\n_\r\n")


class LoggedTest(TrackingTest):
    def test_what_the_log_takes_is_told_as_well(self):
        directory = tempfile.mkdtemp(prefix="nosqgrid-")
        self.addCleanup(shutil.rmtree, directory)
        launched = self.start("--dir", os.path.join(directory, "d"))
        people = self.join(launched.address)
        self.assertEqual(people.play("a> HELLO 3|a> CLIENT TRACKING ON|a> GET k|b> SET k 1|a<|a> LLEN l|b> RPUSH l 1"
                                     "|a<|a> MULTI|a> SET k 2|a> GET k|a> RPUSH l 2|a> EXEC|a-|b> SET k 3|a<")[4:],
                         [("a<", b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"), ("a> LLEN l", b":0\r\n"),
                          ("b> RPUSH l 1", b":1\r\n"), ("a<", b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nl\r\n"),
                          ("a> MULTI", b"+OK\r\n"), ("a> SET k 2", b"+QUEUED\r\n"), ("a> GET k", b"+QUEUED\r\n"),
                          ("a> RPUSH l 2", b"+QUEUED\r\n"), ("a> EXEC", b"*3\r\n+OK\r\n$1\r\n2\r\n:2\r\n"),
                          ("a-", b"silence"), ("b> SET k 3", b"+OK\r\n"),
                          ("a<", b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n")])
        people.close()
        launched.stop()
