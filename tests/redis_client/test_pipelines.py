"""Pipelines, transactions, watched keys, scripts, and locks."""

import threading
import time
import unittest

from nosqgrid.redis import (LockError, LockNotOwnedError, NoScriptError, RedisError, ResponseError, WatchError,
                            locking)

from .servers import Attached, Grid, ServerTest, on_each_server


class Pipelines(ServerTest):
    def test_a_transaction_and_its_results(self):
        pipe = self.r.pipeline()
        self.assertIs(pipe.set("a", 1), pipe)
        self.assertTrue(pipe)
        pipe.incr("a").hset("h", mapping={"f": 1}).hgetall("h").zadd("z", {"m": 1}).zrange("z", 0, -1, withscores=True)
        self.assertEqual(len(pipe), 6)
        self.assertEqual(pipe.execute(), [True, 2, 1, {b"f": b"1"}, 1, [(b"m", 1.0)]])
        self.assertEqual((len(pipe), pipe.execute()), (0, []))

    def test_an_error_is_raised_and_says_of_which_command_it_is(self):
        for transaction in (True, False):
            with self.subTest(transaction=transaction):
                pipe = self.r.pipeline(transaction=transaction)
                pipe.set("a", 1).lpush("a", 2).set("b", 3)
                with self.assertRaises(ResponseError) as caught:
                    pipe.execute()
                self.assertEqual(str(caught.exception), "Command # 2 (LPUSH a 2) of pipeline caused error: WRONGTYPE "
                                                        "Operation against a key holding the wrong kind of value")
                self.assertEqual(self.r.get("b"), b"3")
                pipe.set("a", 1).lpush("a", 2)
                results = pipe.execute(raise_on_error=False)
                self.assertEqual((results[0], type(results[1])), (True, ResponseError))

    def test_a_transaction_that_is_refused_runs_nothing(self):
        pipe = self.r.pipeline()
        pipe.set("a", 1).execute_command("SET", "b")
        with self.assertRaises(ResponseError) as caught:
            pipe.execute()
        self.assertIn("Command # 2 (SET b)", str(caught.exception))
        self.assertEqual((self.r.get("a"), self.r.ping()), (None, True))

    def test_commands_without_keys_have_their_place(self):
        for transaction in (True, False):
            pipe = self.r.pipeline(transaction=transaction)
            pipe.set("a", 1).mget([]).get("a")
            self.assertEqual(pipe.execute(), [True, [], b"1"])

    def test_text_and_bytes(self):
        client = self.client(decode_responses=True)
        pipe = client.pipeline(transaction=False)
        pipe.set("a", "\u00e9").get("a").dump("a")
        results = pipe.execute()
        self.assertEqual((results[:2], type(results[2])), ([True, "\u00e9"], bytes))

    def test_many_and_large_commands(self):
        pipe = self.r.pipeline(transaction=False)
        for index in range(3000):
            pipe.set("k%d" % index, "v" * 500)
        self.assertEqual(pipe.execute(), [True] * 3000)
        for index in range(3000):
            pipe.get("k%d" % index)
        self.assertEqual(set(pipe.execute()), {b"v" * 500})
        large = b"x" * 1000000
        self.assertEqual(self.r.pipeline().set("big", large).get("big").execute(), [True, large])

    def test_a_watched_key_that_changes(self):
        self.r.set("a", 1)
        with self.r.pipeline() as pipe:
            pipe.watch("a")
            self.assertEqual(pipe.get("a"), b"1")
            self.r.set("a", 2)
            pipe.multi()
            pipe.set("a", 3)
            with self.assertRaises(WatchError):
                pipe.execute()
            self.assertEqual(self.r.get("a"), b"2")
            pipe.watch("a")
            self.assertTrue(pipe.watching)
            pipe.multi()
            pipe.set("a", 3)
            self.assertEqual(pipe.execute(), [True])
            self.assertFalse(pipe.watching)

    def test_unwatch_and_what_is_not_allowed(self):
        pipe = self.r.pipeline()
        pipe.watch("a")
        self.r.set("a", 2)
        self.assertIs(pipe.unwatch(), True)
        self.assertEqual(pipe.get("a").execute(), [b"2"])
        pipe.multi()
        with self.assertRaises(RedisError):
            pipe.multi()
        with self.assertRaises(RedisError):
            pipe.watch("a")
        pipe.reset()
        pipe.get("a")
        with self.assertRaises(RedisError):
            pipe.multi()

    def test_transaction_goes_on_until_it_succeeds(self):
        self.r.set("n", 0)

        def add(pipe):
            value = int(pipe.get("n"))
            pipe.multi()
            pipe.set("n", value + 1)
            return value

        def work(client):
            for _ in range(25):
                client.transaction(add, "n")

        threads = [threading.Thread(target=work, args=(self.client(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.r.get("n"), b"75")
        self.assertEqual(self.r.transaction(add, "n", value_from_callable=True), 75)

    def test_the_connection_goes_back(self):
        pipe = self.r.pipeline()
        pipe.watch("a")
        connection = pipe.connection
        pipe.reset()
        self.assertIsNone(pipe.connection)
        self.assertIs(self.r.connection_pool.get_connection("_"), connection)
        self.r.connection_pool.release(connection)


class Locks(ServerTest):
    def test_one_holds_it(self):
        lock, other = self.r.lock("L", timeout=10), self.r.lock("L", timeout=10)
        self.assertEqual((lock.acquire(), lock.owned(), lock.locked(), other.owned()), (True, True, True, False))
        self.assertIs(other.acquire(blocking=False), False)
        self.assertIs(other.acquire(blocking_timeout=0.05, sleep=0.01), False)
        with self.assertRaises(LockError):
            other.release()
        lock.release()
        self.assertEqual((other.acquire(blocking=False), lock.owned()), (True, False))
        other.release()
        self.assertIs(lock.locked(), False)

    def test_it_ends_and_can_be_extended(self):
        lock = self.r.lock("L", timeout=10)
        with lock:
            self.assertIs(lock.extend(10), True)
            self.assertTrue(19000 < self.r.pttl("L") <= 20000)
            lock.extend(5, replace_ttl=True)
            self.assertTrue(4000 < self.r.pttl("L") <= 5000)
            lock.reacquire()
            self.assertTrue(9000 < self.r.pttl("L") <= 10000)
        self.assertEqual(self.r.exists("L"), 0)
        for call in (lambda: lock.extend(1), lock.reacquire, lock.release):
            with self.assertRaises(LockError):
                call()

    def test_who_lost_it_is_told_and_changes_nothing(self):
        lock = self.r.lock("L", timeout=10)
        lock.acquire()
        self.r.set("L", "somebody else")
        for call in (lambda: lock.extend(1), lock.reacquire, lock.release):
            with self.assertRaises(LockNotOwnedError):
                call()
        self.assertEqual((self.r.get("L"), self.r.ttl("L")), (b"somebody else", -1))

    def test_a_token_of_ones_own_and_decoded_replies(self):
        client = self.client(decode_responses=True)
        lock = client.lock("L", timeout=10)
        lock.acquire(token="mine")
        self.assertEqual((client.get("L"), lock.owned()), ("mine", True))
        lock.release()

    def test_a_with_that_does_not_get_it(self):
        self.r.set("L", "x")
        with self.assertRaises(LockError) as caught:
            with self.r.lock("L", blocking_timeout=0.02, sleep=0.01):
                self.fail("it was held by somebody else")
        self.assertEqual(caught.exception.lock_name, "L")

    def test_threads_take_turns(self):
        self.r.set("n", 0)

        def work():
            for _ in range(10):
                with self.r.lock("L", timeout=30, sleep=0.001):
                    value = int(self.r.get("n"))
                    time.sleep(0.001)
                    self.r.set("n", value + 1)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.r.get("n"), b"30")


class LocksWithoutScripts(Locks):
    """The same on a server that is known to run no scripts."""

    def setUp(self):
        super().setUp()
        self.r.connection_pool.without_scripts = True

    def client(self, **options):
        client = super().client(**options)
        client.connection_pool.without_scripts = True
        return client


class WithoutScriptsTests(unittest.TestCase):
    def test_only_an_unknown_command_means_that_there_are_none(self):
        self.assertTrue(locking.without_scripts(ResponseError("unknown command 'EVALSHA', with args beginning with: ")))
        for error in (ResponseError("unknown command 'PEXPIRE'"), ResponseError("WRONGTYPE x"), RedisError("EVAL")):
            with self.assertRaises(RedisError):
                locking.without_scripts(error)


class Scripts(ServerTest):
    def test_a_registered_script_is_sent_where_it_is_missing(self):
        self._need_scripts()
        script = self.r.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
        self.r.script_flush()
        self.assertEqual((script(keys=["n"], args=[5]), script(keys=["n"], args=[2])), (5, 7))
        self.assertEqual((self.r.script_exists(script.sha), self.r.eval("return ARGV[1]", 0, "x")), ([True], b"x"))
        with self.assertRaises(NoScriptError):
            self.r.evalsha("0" * 40, 0)

    def test_in_a_pipeline(self):
        self._need_scripts()
        script = self.r.register_script("return redis.call('incrby', KEYS[1], ARGV[1]) + 1")
        self.r.script_flush()
        pipe = self.r.pipeline()
        pipe.set("n", 1)
        script(keys=["n"], args=[5], client=pipe)
        self.assertEqual(pipe.execute(), [True, 7])

    def _need_scripts(self):
        try:
            self.r.eval("return 1", 0)
        except ResponseError as error:
            if str(error).startswith("there is no Lua"):
                self.skipTest("this server runs no scripts")
            raise


on_each_server(globals(), Pipelines, Locks, Scripts)
on_each_server(globals(), LocksWithoutScripts, kinds=(Grid, Attached))

if __name__ == "__main__":
    unittest.main()
