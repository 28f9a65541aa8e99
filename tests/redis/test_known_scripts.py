"""The scripts that are known without Lua: what they do, in any spelling, and that every other one is refused."""

import contextlib
import hashlib
import itertools
import unittest

from nosqgrid.engine.commands import known_scripts
from nosqgrid.redis import locking
from tests.support.differential import SERVER, RealServer
from tests.support.engine_context import EngineTest

# As libraries spell it.
RELEASE = """
if redis.call("GET", KEYS[1]) == ARGV[1]
then
    return redis.call("DEL", KEYS[1])
else
    return 0
end
"""
EXPIRE = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('pexpire',KEYS[1],ARGV[2]) else return 0 end;"


def sha(text):
    return hashlib.sha1(text.encode()).hexdigest()


class KnownTest(EngineTest):
    def state(self):
        return self.context.call("GET", "k"), self.context.call("PTTL", "k")

    def test_a_token_is_compared(self):
        self.run_table([("SET k token PX 5000", b"+OK\r\n")])
        for script, words in ((RELEASE, ()), (EXPIRE, ("10",)), (locking.RELEASE, ()), (locking.EXTEND, ("10", "0")),
                              (locking.REACQUIRE, ("10",))):
            self.assertEqual(self.context.call("EVAL", script, "1", "k", "another", *words), b":0\r\n")
            self.assertEqual(self.context.call("EVAL", script, "1", "none", "token", *words), b":0\r\n")
            self.assertEqual(self.state(), (b"$5\r\ntoken\r\n", b":5000\r\n"))

    def test_what_each_does(self):
        for script, words, ttl in ((EXPIRE, ("70",), 70), (locking.EXTEND, ("70", "0"), 5070),
                                   (locking.EXTEND, ("70", "1"), 70), (locking.REACQUIRE, ("70",), 70)):
            self.context.call("SET", "k", "token", "PX", "5000")
            self.assertEqual(self.context.call("EVAL", script, "1", "k", "token", *words), b":1\r\n")
            self.assertEqual(self.state(), (b"$5\r\ntoken\r\n", b":%d\r\n" % ttl))
            self.assertEqual(self.context.call("EVALSHA", sha(script), "1", "k", "token", *words), b":1\r\n")
        for script in (RELEASE, locking.RELEASE):
            self.context.call("SET", "k", "token")
            self.assertEqual(self.context.call("EVALSHA", sha(script), "1", "k", "token"), b":1\r\n")
            self.assertEqual(self.context.call("EXISTS", "k"), b":0\r\n")
        self.context.call("SET", "k", "token")
        self.assertEqual(self.context.call("EVAL", locking.EXTEND, "1", "k", "token", "5", "0"), b":0\r\n")

    def test_the_lock_of_an_old_redis_py_is_acquired(self):
        old = "5688a2541c9edd77746bcd2385e65ff3639a664f"
        self.run_table([("EVALSHA %s 1 k token 5000" % old, b":1\r\n"), ("PTTL k", b":5000\r\n"),
                        ("EVALSHA %s 1 k other 7000" % old, b":0\r\n"), ("PTTL k", b":5000\r\n"),
                        ("GET k", b"$5\r\ntoken\r\n")])
        self.assertEqual(self.context.call("EVALSHA", old, "1", "for-ever", "token", ""), b":1\r\n")
        self.assertEqual(self.context.call("PTTL", "for-ever"), b":-1\r\n")

    def test_loading(self):
        other = RELEASE.replace("\n", " \n")
        known_scripts._loaded.clear()
        self.assertEqual(self.context.call("SCRIPT", "EXISTS", sha(other), sha(locking.RELEASE)),
                         b"*2\r\n:0\r\n:1\r\n")
        self.assertIn(b"-NOSCRIPT", self.context.call("EVALSHA", sha(other), "1", "k", "token"))
        self.assertEqual(self.context.call("SCRIPT", "LOAD", other), b"$40\r\n%b\r\n" % sha(other).encode())
        self.assertEqual(self.context.call("EVALSHA", sha(other).upper(), "1", "k", "token"), b":0\r\n")
        self.assertEqual(self.context.call("SCRIPT", "FLUSH"), b"+OK\r\n")
        self.assertEqual(self.context.call("SCRIPT", "EXISTS", sha(other)), b"*1\r\n:0\r\n")
        self.assertIn(b"-NOTBUSY", self.context.call("SCRIPT", "KILL"))

    def test_what_is_loaded_is_bounded(self):
        known_scripts._loaded.clear()
        for number in range(2 * known_scripts._LOADED_MAX):
            self.context.call("SCRIPT", "LOAD", RELEASE + " " * number)
        self.assertLessEqual(len(known_scripts._loaded), known_scripts._LOADED_MAX)
        self.assertGreater(len(known_scripts._loaded), 0)

    def test_others_are_refused_and_change_nothing(self):
        self.context.call("SET", "k", "token")
        for script in ("return 1", "", RELEASE + "x", RELEASE.replace("DEL", "GET"), "x" * 100000):
            for words in (("EVAL", script, "1", "k", "token"), ("SCRIPT", "LOAD", script)):
                self.assertIn(b"-ERR there is no Lua here", self.context.call(*words))
        for count in ("-1", "0", "3", "x", "9999999999999999999"):
            self.assertEqual(self.context.call("EVAL", RELEASE, count, "k", "token")[:1], b"-")
        self.assertEqual(self.context.call("EVAL", locking.EXTEND, "1", "k", "token")[:1], b"-")
        self.assertEqual(self.context.call("EVAL", EXPIRE, "1", "k", "token", "x")[:1], b"-")
        self.context.call("RPUSH", "list", "token")
        self.assertIn(b"-WRONGTYPE", self.context.call("EVAL", RELEASE, "1", "list", "token"))
        self.context.session.may_write = False
        self.assertIn(b"-NOPERM", self.context.call("EVAL", RELEASE, "1", "k", "token"))
        self.assertEqual(self.context.call("GET", "k"), b"$5\r\ntoken\r\n")

    def test_in_a_transaction_and_another_database(self):
        self.context.call("SELECT", "3")
        self.context.call("MULTI")
        self.context.call("SET", "k", "token")
        self.context.call("EVAL", RELEASE, "1", "k", "token")
        self.assertEqual(self.context.call("EXEC"), b"*2\r\n+OK\r\n:1\r\n")
        self.assertEqual(self.context.call("DBSIZE"), b":0\r\n")


@unittest.skipUnless(SERVER, "needs redis-server")
class LikeLuaTest(EngineTest):
    """Each known text, run as Lua by redis-server and here."""

    def test_the_same_answers_and_the_same_keys(self):
        texts = (RELEASE, EXPIRE, locking.RELEASE, locking.EXTEND, locking.REACQUIRE)
        with contextlib.closing(RealServer()) as server, contextlib.closing(server.connect()) as client:
            for text, token, px, words in itertools.product(
                    texts, ("token", "other", ""), ((), ("PX", "100000")),
                    (("5000", "0"), ("90000", "1"), ("-1", "0"))):
                ran = []
                for call in (client.call, self.context.call):
                    call("FLUSHALL")
                    call("SET", "k", "token", *px)
                    ran.append((call("EVAL", text, "1", "k", token, *words), call("GET", "k"),
                                _rounded(call("PTTL", "k"))))
                self.assertEqual(ran[0], ran[1], (text, token, px, words))


def _rounded(reply):
    number = int(reply[1:])
    return number if number < 0 else round(number / 1000.0)


if __name__ == "__main__":
    unittest.main()
