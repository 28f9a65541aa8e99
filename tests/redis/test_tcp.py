"""Redis clients that come by TCP: what they may do, what they may not, and that nobody comes who was not asked in."""

import os
import socket
import unittest

from nosqgrid.client import launcher
from nosqgrid.errors import StartError
from nosqgrid.network import tcp
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tcp_client import TcpTestCase
from tests.support.tiers import slow

BIG = bytes(range(256)) * (8 << 10)


def listening(pid):
    """The local addresses of the TCP sockets that a process listens on, as /proc shows them."""
    inodes = set()
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (pid, name))
        except FileNotFoundError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for name in ("tcp", "tcp6"):
        if os.path.exists("/proc/net/" + name):
            with open("/proc/net/" + name) as file:
                rows = [line.split() for line in file.readlines()[1:]]
            found += [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]
    return found


class TcpTest(TcpTestCase):

    def test_what_is_written_by_tcp_is_read_by_all_and_the_other_way_round(self):
        self.start()
        local, one, two = self.connect_local(), self.connect(), self.connect()
        self.assertEqual(one.call("SET", "k", "by tcp"), b"+OK\r\n")
        self.assertEqual(local.call("GET", "k"), b"$6\r\nby tcp\r\n")
        local.call("SET", "k", "by the socket")
        self.assertEqual(two.call("GET", "k"), b"$13\r\nby the socket\r\n")
        self.assertEqual(one.calls([("INCR", "n")] * 5000)[-1], b":5000\r\n")
        self.assertEqual(one.call("SET", "big", BIG), b"+OK\r\n")
        self.assertEqual(two.call("GET", "big"), b"$%d\r\n%b\r\n" % (len(BIG), BIG))

    def test_who_waits_and_who_listens_is_told_by_tcp(self):
        self.start()
        waiting, listening_one, local = self.connect(), self.connect(), self.connect_local()
        waiting.send("BLPOP", "q", "0")
        listening_one.call("SUBSCRIBE", "news")
        wait_until(lambda: b"blocked_clients:1\r\n" in local.call("INFO", "clients"))
        local.call("RPUSH", "q", "x")
        self.assertEqual(waiting.read(), b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n")
        self.assertEqual(local.call("PUBLISH", "news", "y"), b":1\r\n")
        self.assertEqual(listening_one.read(), b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\ny\r\n")
        waiting.send("BLPOP", "q", "0")
        wait_until(lambda: b"blocked_clients:1\r\n" in local.call("INFO", "clients"))
        waiting.close()
        wait_until(lambda: b"blocked_clients:0\r\n" in local.call("INFO", "clients"))
        self.assertEqual(local.call("RPUSH", "q", "z"), b":1\r\n")

    def test_a_client_is_known_by_its_address(self):
        self.start()
        one, local = self.connect(), self.connect_local()
        address = "%s:%d" % one.sock.getsockname()
        line = one.call("CLIENT", "INFO").decode()
        self.assertIn(" addr=%s laddr=127.0.0.1:%d " % (address, self.port), line)
        self.assertIn(" flags=N ", line)
        self.assertIn(" flags=U ", local.call("CLIENT", "INFO").decode())
        self.assertEqual(local.call("CLIENT", "KILL", "ADDR", address), b":1\r\n")
        self.assertEqual(one.rest(), b"")
        self.assertIn(b"tcp_port:%d\r\n" % self.port, local.call("INFO", "server"))
        self.assertEqual(local.call("CONFIG", "GET", "bind"), b"*2\r\n$4\r\nbind\r\n$9\r\n127.0.0.1\r\n")

    def test_shared_memory_is_not_handed_out(self):
        self.start()
        client = self.connect()
        for words in (("NOSQGRID.ATTACH", "1"), ("NOSQGRID.ALLOCATE", "1000000", "1"), ("NOSQGRID.LARGE", "1"),
                      ("NOSQGRID.ADOPT", "1", "k", "1", "0", "-", "0"), ("NOSQGRID.SHARE", "1")):
            self.assertEqual(client.call(*words), b"-ERR shared memory is handed out over the grid's own Unix socket "
                             b"alone, not by TCP\r\n", words)
        for words, text in ((("NOSQGRID.CHECKPOINT", "/x"), b"may not have files written"),
                            (("SHUTDOWN",), b"may not end what uid")):
            self.assertRegex(client.call(*words), b"^-NOPERM a client by TCP " + text)
        self.assertEqual(client.call("NOSQGRID.LEAVE"), b":0\r\n")
        self.assertEqual(client.call("PING"), b"+PONG\r\n")

    def test_lines_are_no_commands_unless_asked_for(self):
        self.start()
        for line in (b"SET evil 1\r\n", b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET evil 1\r\n", b"\r\nPING\r\n"):
            client = self.connect()
            client.sock.sendall(line)
            self.assertRegex(client.rest(), rb"^-ERR Protocol error: expected '\*', got .*; inline commands are not "
                             rb"accepted here\r\n$")
        self.assertEqual(self.connect().call("EXISTS", "evil"), b":0\r\n")
        local = self.connect_local()
        local.sock = local._sock
        local.sock.sendall(b"PING\r\n")
        self.assertTrue(local.read().startswith(b"-ERR Protocol error: expected '*', got 'P'"))

    def test_lines_are_commands_where_asked_for_but_http_never_is(self):
        self.start("--redis-inline")
        client = self.connect()
        client.sock.sendall(b'set k "a b\\x41"\r\nget k\n\r\n')
        self.assertEqual((client.read(), client.read()), (b"+OK\r\n", b"$4\r\na bA\r\n"))
        self.assertEqual(client.call("PING"), b"+PONG\r\n")
        client.sock.sendall(b'set "k"x 1\r\n')
        self.assertEqual(client.rest(), b"-ERR Protocol error: unbalanced quotes in request\r\n")
        for line in (b"POST / HTTP/1.1\r\nSET evil 1\r\n", b"Host: localhost\r\nSET evil 1\r\n",
                     b"GET /x HTTP/1.1\r\nSET evil 1\r\n"):
            client = self.connect()
            client.sock.sendall(line)
            self.assertRegex(client.rest(), b"^-ERR Protocol error: [^\r]*\r\n$")
        self.assertEqual(self.connect().call("EXISTS", "evil"), b":0\r\n")

    @slow
    @unittest.skipUnless(os.path.isdir("/proc/net"), "the system shows no sockets")
    def test_it_listens_where_it_was_told_and_nowhere_by_default(self):
        with launcher.start(memory="16m") as launched:
            self.assertEqual(listening(launched.pid), [])
        self.start()
        self.assertEqual(listening(self.launched.pid), ["0100007F:%04X" % self.port])
        self.stop()
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", self.port), 5.0).close()

    def test_several_addresses(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6 here")
        self.start("--redis-address", "::1")
        client = self.connect(host="::1")
        self.assertIn(b" laddr=[::1]:%d " % self.port, client.call("CLIENT", "INFO"))


class StartTest(ProcessTestCase):

    def refused(self, pattern, *options):
        with self.assertRaisesRegex(StartError, pattern):
            launcher.start(memory="16m", extra_args=options).stop()

    @slow
    def test_what_cannot_be_listened_on_is_refused_and_nothing_is_left(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen(1)
            port = str(other.getsockname()[1])
            self.refused("port %s: another program listens there; stop it, or give another port with --redis-port"
                         % port, "--redis-port", port)
        self.refused("no interface of this machine has that address", "--redis-port", "0", "--redis-address",
                     "192.0.2.1")
        self.refused("there is no such address", "--redis-port", "0", "--redis-address", "no.such.host.invalid")
        self.refused("a port is a number from 0 to 65535", "--redis-port", "65536")
        self.refused("--redis-address needs a port", "--redis-address", "127.0.0.1")

    def test_nobody_serves_the_network_without_a_password(self):
        for address in ("0.0.0.0", "::"):
            if address == "0.0.0.0" or socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
                self.refused("whoever reaches %s could read and write everything: give a password with "
                             "--redis-password-file, or users with --acl-file" % address,
                             "--redis-port", "0", "--redis-address", address)

    def test_a_connection_sends_at_once_and_notices_a_dead_peer(self):
        with socket.socket() as sock:
            tcp.prepare(sock)
            self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


if __name__ == "__main__":
    unittest.main()
