"""Connections: URLs, pools, what happens when one is lost, retries, threads, forks, and the handshake."""

import os
import socket
import threading
import unittest

from nosqgrid import redis
from nosqgrid.redis import exceptions
from nosqgrid.redis.backoff import (ConstantBackoff, DecorrelatedJitterBackoff, EqualJitterBackoff, ExponentialBackoff,
                                    FullJitterBackoff, NoBackoff)
from nosqgrid.redis.handshake import handshake
from nosqgrid.redis.pool import parse_url
from nosqgrid.redis.retry import Retry

from .servers import Grid, RealRedis, ServerTest, on_each_server


class UrlTests(unittest.TestCase):
    def test_tcp(self):
        self.assertEqual(parse_url("redis://user:p%40ss@host.example:7000/3?socket_timeout=1.5&protocol=3"),
                         {"username": "user", "password": "p@ss", "host": "host.example", "port": 7000, "db": 3,
                          "socket_timeout": 1.5, "protocol": 3})
        self.assertEqual(parse_url("valkey://localhost"), {"host": "localhost"})
        self.assertEqual(parse_url("redis://localhost/1?db=2")["db"], 2)
        self.assertEqual(parse_url("redis://:secret@localhost"), {"password": "secret", "host": "localhost"})

    def test_tls(self):
        for scheme in ("rediss", "valkeys"):
            found = parse_url(scheme + "://localhost?ssl_cert_reqs=none&ssl_check_hostname=no")
            self.assertEqual(found, {"host": "localhost", "connection_class": redis.SSLConnection,
                                     "ssl_cert_reqs": "none", "ssl_check_hostname": False})
        connection = redis.ConnectionPool.from_url("rediss://localhost?ssl_cert_reqs=none").make_connection()
        self.assertEqual((connection.cert_reqs, connection.check_hostname), (0, False))
        with self.assertRaises(AttributeError):
            connection.nothing_of_this_name

    def test_unix_sockets(self):
        for scheme in ("unix", "redis+unix", "redis-socket", "valkey+unix"):
            self.assertEqual(parse_url(scheme + "://u:p@/tmp/a%20b.sock?db=2&max_connections=3"),
                             {"path": "/tmp/a b.sock", "db": 2, "username": "u", "password": "p",
                              "max_connections": 3, "connection_class": redis.UnixDomainSocketConnection})

    def test_options_are_checked(self):
        self.assertEqual(parse_url("redis://h?retry_on_error=ConnectionError,TimeoutError&socket_keepalive=False"),
                         {"host": "h", "retry_on_error": [exceptions.ConnectionError, exceptions.TimeoutError],
                          "socket_keepalive": False})
        for url in ("localhost", "http://localhost", "redis:/localhost", "redis://h?db=x", "redis://h?timeout=z",
                    "redis://h?retry_on_error=Nothing"):
            with self.assertRaises(ValueError):
                parse_url(url)

    def test_a_client_of_a_url(self):
        client = redis.from_url("redis://h:1/2?decode_responses=yes", client_name="me")
        options = client.get_connection_kwargs()
        self.assertEqual((options["host"], options["db"], options["decode_responses"], options["client_name"]),
                         ("h", 2, True, "me"))
        self.assertIn("host=h,port=1,db=2", repr(client))


class RetryTests(unittest.TestCase):
    def test_as_often_as_is_said(self):
        for retries, expected in ((0, 1), (3, 4)):
            calls, failures = [], []

            def fail():
                calls.append(1)
                raise exceptions.ConnectionError("no")

            with self.assertRaises(exceptions.ConnectionError):
                Retry(NoBackoff(), retries).call_with_retry(fail, failures.append)
            self.assertEqual((len(calls), len(failures)), (expected, expected))

    def test_only_errors_that_are_meant(self):
        retry = Retry(ConstantBackoff(0), 5)
        with self.assertRaises(KeyError):
            retry.call_with_retry(lambda: {}[1], self.fail)
        retry.update_supported_errors([KeyError])
        found = iter(({}, {1: "x"}))
        self.assertEqual(retry.call_with_retry(lambda: next(found)[1], lambda error: None), "x")

    def test_pauses(self):
        for backoff in (ExponentialBackoff(1, 0.01), FullJitterBackoff(1, 0.01), EqualJitterBackoff(1, 0.01),
                        DecorrelatedJitterBackoff(1, 0.01)):
            backoff.reset()
            for failures in range(1, 30):
                self.assertTrue(0 <= backoff.compute(failures) <= 1, backoff)
        self.assertEqual([ExponentialBackoff(1, 0.1).compute(count) for count in (1, 2, 9)], [0.2, 0.4, 1])


class HandshakeTests(unittest.TestCase):
    def spoken(self, replies, **options):
        """The commands that a handshake sends, for lists of replies; the last one asked for is not answered."""
        connection = redis.Connection(lib_name=None, lib_version=None, **options)
        steps, sent, answer = handshake(connection), [], None
        for reply in replies + [None]:
            try:
                sent.append(steps.send(answer))
            except StopIteration:
                return sent
            answer = reply
        return sent

    def test_nothing_to_say(self):
        self.assertEqual(self.spoken([]), [])

    def test_passwords(self):
        self.assertEqual(self.spoken([[b"OK"], [b"OK"]], password="p", db=2),
                         [[("AUTH", "p")], [("SELECT", 2)]])
        self.assertEqual(self.spoken([[b"OK"]], username="u", password="p"), [[("AUTH", "u", "p")]])
        old = exceptions.from_text("ERR wrong number of arguments for 'auth' command")
        self.assertEqual(self.spoken([[old], [b"OK"]], username="u", password="p"),
                         [[("AUTH", "u", "p")], [("AUTH", "p")]])
        self.assertEqual(self.spoken([[{b"proto": 3}]], password="p", protocol=3),
                         [[("HELLO", 3, "AUTH", "default", "p")]])
        provider = redis.UsernamePasswordCredentialProvider("u", "p")
        self.assertEqual(self.spoken([[b"OK"]], credential_provider=provider), [[("AUTH", "u", "p")]])

    def test_what_is_refused(self):
        for replies, options, error in (
                ([[b"no"]], {"password": "p"}, exceptions.AuthenticationError),
                ([[exceptions.from_text("WRONGPASS x")]], {"password": "p"}, exceptions.AuthenticationError),
                ([[{b"proto": 2}]], {"protocol": 3}, exceptions.ConnectionError),
                ([[exceptions.from_text("NOPROTO x")]], {"protocol": 3}, exceptions.ResponseError),
                ([[exceptions.from_text("ERR DB index is out of range")]], {"db": 99}, exceptions.ResponseError),
                ([[b"no"]], {"client_name": "x"}, exceptions.ConnectionError)):
            with self.subTest(options=options):
                with self.assertRaises(error):
                    self.spoken(replies + [[]], **options)

    def test_arguments_that_do_not_fit(self):
        with self.assertRaises(exceptions.DataError):
            redis.Connection(password="p", credential_provider=redis.UsernamePasswordCredentialProvider("u", "p"))
        for protocol in (1, 4, "x"):
            with self.assertRaises(exceptions.ConnectionError):
                redis.Connection(protocol=protocol)


class Connections(ServerTest):
    def pool(self, cls=redis.ConnectionPool, **options):
        """A pool that is closed after the test."""
        pool = cls(connection_class=redis.UnixDomainSocketConnection, path=self.server.path, **options)
        self.addCleanup(pool.disconnect)
        return pool

    def test_a_connection_is_used_again(self):
        pool = self.pool()
        first = pool.get_connection("_")
        second = pool.get_connection("_")
        self.assertIsNot(first, second)
        pool.release(second)
        self.assertIs(pool.get_connection("_"), second)
        pool.release(first)
        pool.release(second)

    def test_not_more_than_there_may_be(self):
        pool = self.pool(max_connections=1)
        connection = pool.get_connection("_")
        with self.assertRaises(exceptions.ConnectionError):
            pool.get_connection("_")
        pool.release(connection)
        self.assertIs(pool.get_connection("_"), connection)
        for wrong in (-1, "x"):
            with self.assertRaises(ValueError):
                redis.ConnectionPool(max_connections=wrong)

    def test_a_pool_that_waits(self):
        pool = self.pool(redis.BlockingConnectionPool, max_connections=1, timeout=0.05)
        connection = pool.get_connection("_")
        with self.assertRaises(exceptions.ConnectionError):
            pool.get_connection("_")
        pool.timeout = 10
        timer = threading.Timer(0.05, pool.release, [connection])
        timer.start()
        self.assertIs(pool.get_connection("_"), connection)
        timer.join()
        pool.release(connection)

    def test_a_connection_that_the_server_closed_is_made_anew(self):
        client = self.client()
        number = client.client_id()
        connection = client.connection_pool.get_connection("_")
        client.connection_pool.release(connection)
        self.assertEqual(self.r.client_kill_filter(_id=number), 1)
        self.assertTrue(connection.can_read(10))  # the end, which may come after the reply to who asked for it
        self.assertTrue(client.client_id() > number)

    def test_a_reply_too_many_is_never_taken_for_another(self):
        client = self.client()
        connection = client.connection_pool.get_connection("_")
        connection.send_command("PING")
        self.assertTrue(connection.can_read(5))
        client.connection_pool.release(connection)
        self.assertIs(client.set("a", "x"), True)

    def test_a_command_that_takes_too_long_or_is_interrupted(self):
        client = self.client(socket_timeout=0.05)
        with self.assertRaises(exceptions.TimeoutError):
            client.blpop("none", 0)
        self.assertIs(client.ping(), True)
        connection = client.connection_pool.get_connection("_")
        connection.send_command("PING")
        with self.assertRaises(KeyboardInterrupt):
            connection._receive = _interrupt
            connection.read_response()
        del connection._receive
        client.connection_pool.release(connection)
        self.assertIsNone(client.execute_command("GET", "none"))

    def test_retrying(self):
        client = self.client(retry=Retry(NoBackoff(), 3), retry_on_error=[exceptions.ConnectionError], lib_name=None,
                             lib_version=None)
        connection = client.connection_pool.get_connection("_")
        client.connection_pool.release(connection)
        sent = []
        original = connection.send_packed_command

        def send(command, check_health=True):
            sent.append(command)
            if len(sent) < 3:
                raise exceptions.ConnectionError("lost")
            return original(command, check_health)

        connection.send_packed_command = send
        self.assertIs(client.ping(), True)
        self.assertEqual(len(sent), 3)

    def test_nobody_serves(self):
        with self.assertRaises(exceptions.ConnectionError) as caught:
            redis.Redis(unix_socket_path=self.server.path + "-nobody").ping()
        self.assertIn("Error 2 connecting to", str(caught.exception))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with self.assertRaises(exceptions.ConnectionError) as caught:
            redis.Redis(port=port, host="127.0.0.1").ping()
        self.assertIn("connecting to 127.0.0.1:%d. Connection refused." % port, str(caught.exception))

    def test_names_and_databases(self):
        client = self.client(client_name="me", db=3)
        client.set("a", 1)
        self.assertEqual((client.client_getname(), client.client_info()["name"], client.dbsize(), self.r.dbsize()),
                         ("me", "me", 1, 0))
        self.assertEqual([found["name"] for found in self.r.client_list() if found["db"] == "3"], ["me"])
        with self.assertRaises(exceptions.ResponseError):
            self.client(db=1000000).ping()

    def test_health_checks(self):
        client = self.client(health_check_interval=100)
        client.ping()
        connection = client.connection_pool.get_connection("_")
        client.connection_pool.release(connection)
        connection.next_health_check = 0
        self.assertIs(client.set("a", 1), True)
        self.assertGreater(connection.next_health_check, 0)

    def test_threads_share_a_client(self):
        client, errors = self.client(), []

        def work(number):
            for index in range(200):
                key = "%d-%d" % (number, index)
                client.set(key, key)
                if client.get(key) != key.encode():
                    errors.append(key)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((errors, client.dbsize()), ([], 800))

    def test_a_forked_child_has_connections_of_its_own(self):
        client = self.client()
        number = client.client_id()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, b"%d %b" % (client.client_id(), client.execute_command("ECHO", "child")))
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read().split()
        os.waitpid(child, 0)
        self.assertEqual((said[1], client.client_id()), (b"child", number))
        self.assertNotEqual(int(said[0]), number)

    def test_one_connection_for_all(self):
        client = self.client(single_connection_client=True)
        self.assertEqual(client.client_id(), client.client_id())
        self.assertIs(client.client_setname("x"), True)
        self.assertEqual(client.client_getname(), "x")
        with client.client() as other:
            self.assertNotEqual(other.client_id(), client.client_id())

    def test_callbacks_of_ones_own(self):
        self.r.set_response_callback("get", lambda reply: ("got", reply))
        self.r.set("a", 1)
        self.assertEqual((self.r.get("a"), self.r.pipeline().get("a").execute()), (("got", b"1"), [("got", b"1")]))


def _interrupt(*args):
    raise KeyboardInterrupt()


on_each_server(globals(), Connections, kinds=(Grid, RealRedis))

if __name__ == "__main__":
    unittest.main()
