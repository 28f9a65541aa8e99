"""TLS with those who do not keep to it: slow, silent, gone, without a certificate or with a wrong one, not TLS at all.

Whatever they do, others are served, and what they took is given back.
"""

import contextlib
import os
import socket
import ssl
import subprocess
import unittest

from nosqgrid.client import launcher
from nosqgrid.errors import StartError
from nosqgrid.limits import STRANGERS_MAX
from tests.support.certificates import OPENSSL, certificates
from tests.support.processes import wait_until
from tests.support.tcp_client import TcpClient, TcpTestCase
from tests.support.tiers import slow

BIG = bytes(range(256)) * (12 << 10)


class TlsTestCase(TcpTestCase):

    def setUp(self):
        if OPENSSL is None:
            self.skipTest("there is no openssl command to make certificates with")
        super().setUp()
        self.files = {name: self.write_file(name, text) for name, text in certificates().items()}

    def start_tls(self, *options):
        self.start("--redis-tls-port", "0", "--tls-cert", self.files["server.crt"], "--tls-key",
                   self.files["server.key"], *options)
        self.plain_port = self.port
        self.find_port("tls-port")

    def context(self, certificate=None, authority="ca"):
        context = ssl.create_default_context(cafile=self.files[authority + ".crt"])
        if certificate is not None:
            context.load_cert_chain(self.files[certificate + ".crt"], self.files[certificate + ".key"])
        return context

    def silent(self):
        """A connection that says nothing yet, by plain TCP."""
        self.clients.append(TcpClient(self.port))
        return self.clients[-1]

    def files_at_rest(self):
        """How many descriptors the coordinator has open with no client there but one local one."""
        local = self.connect_local()
        wait_until(lambda: b"connected_clients:1\r\n" in local.call("INFO", "clients"))
        return self.open_files()

    def open_files(self):
        return len(os.listdir("/proc/%d/fd" % self.launched.pid))


class ServedTest(TlsTestCase):

    @slow
    def test_commands_and_large_values(self):
        self.start_tls()
        one, two, local = self.connect(self.context()), self.connect(self.context()), self.connect_local()
        self.assertIn(one.sock.version(), ("TLSv1.2", "TLSv1.3"))
        self.assertEqual(one.calls([("INCR", "n")] * 3000)[-1], b":3000\r\n")
        self.assertEqual(local.call("GET", "n"), b"$4\r\n3000\r\n")
        self.assertEqual(one.call("SET", "big", BIG), b"+OK\r\n")
        whole = b"$%d\r\n%b\r\n" % (len(BIG), BIG)
        two.send("MGET", "big", "big", "big")
        self.assertEqual(one.call("GET", "big"), whole)  # while two has not read anything
        self.assertEqual(two.read(), b"*3\r\n" + whole * 3)
        self.assertIn(b" laddr=127.0.0.1:%d " % self.port, one.call("CLIENT", "INFO"))
        two.send("BLPOP", "q", "0")
        wait_until(lambda: b"blocked_clients:1\r\n" in local.call("INFO", "clients"))
        one.call("RPUSH", "q", "x")
        self.assertEqual(two.read(), b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n")
        one.send("QUIT")
        self.assertEqual(one.rest(), b"+OK\r\n")  # and no error: the end is told

    @slow
    def test_who_reads_slowly_gets_all(self):
        self.start_tls()
        client = self.connect(self.context())
        client.call("SET", "big", BIG)
        expected = b"$%d\r\n%b\r\n" % (len(BIG), BIG)
        for _ in range(6):
            client.send("GET", "big")
        self.connect(self.context()).call("PING")
        got = b""
        while len(got) < 6 * len(expected):
            got += client.sock.recv(50000)
        self.assertEqual(got, expected * 6)

    def test_older_versions_are_not_spoken(self):
        self.start_tls()
        context = self.context()
        if not hasattr(context, "maximum_version"):
            self.skipTest("this Python cannot ask for an old version alone")
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assertEqual(self.connect(context).sock.version(), "TLSv1.2")
        said = subprocess.Popen([OPENSSL, "s_client", "-connect", "127.0.0.1:%d" % self.port, "-tls1_1", "-cipher",
                                 "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        with said:
            self.assertNotIn(b"BEGIN CERTIFICATE", said.communicate()[0])
        self.assertNotEqual(said.returncode, 0)


class CertificateTest(TlsTestCase):

    def refused(self, context):
        """The connection fails, in the handshake or, since TLS 1.3 tells later, at the first answer."""
        with self.assertRaises((OSError, EOFError)):
            self.connect(context).call("PING")

    def test_a_client_sees_whom_it_talks_to(self):
        self.start_tls()
        self.refused(self.context(authority="other"))
        self.assertEqual(self.connect(self.context()).call("PING"), b"+PONG\r\n")

    def test_clients_show_theirs_where_that_is_asked_for(self):
        self.start_tls("--tls-ca", self.files["ca.crt"])
        self.refused(self.context())
        self.refused(self.context("other"))
        self.assertEqual(self.connect(self.context("client")).call("PING"), b"+PONG\r\n")
        self.assertEqual(self.connect_local().call("INFO", "clients").count(b"connected_clients:2\r\n"), 1)

    @slow
    def test_files_that_are_of_no_use_are_named(self):
        protected = self.path("protected.key", keep=True)
        subprocess.check_call([OPENSSL, "ec", "-aes128", "-passout", "pass:secret", "-in", self.files["server.key"],
                               "-out", protected], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cert, key = self.files["server.crt"], self.files["server.key"]
        for certificate, its_key, more, pattern in (
                (cert, self.files["client.key"], (), "cannot use the certificate .* with the key"),
                (cert, protected, (), "protected by a passphrase, which nobody is there to type"),
                (cert, self.path("none"), (), "No such file"), (key, key, (), "cannot use the certificate"),
                (cert, key, ("--tls-ca", key), "cannot use .*server.key to check the certificates of clients")):
            with self.assertRaisesRegex(StartError, pattern):
                launcher.start(memory="16m", extra_args=("--redis-tls-port", "0", "--tls-cert", certificate,
                                                         "--tls-key", its_key) + more).stop()
        with self.assertRaisesRegex(StartError, "needs a certificate and its key"):
            launcher.start(memory="16m", extra_args=("--redis-tls-port", "0", "--tls-cert", cert)).stop()
        with self.assertRaisesRegex(StartError, "--tls-cert needs a port: give one with --redis-tls-port"):
            launcher.start(memory="16m", extra_args=("--redis-port", "0", "--tls-cert", cert)).stop()


class AbusedTest(TlsTestCase):

    def test_a_handshake_byte_by_byte_holds_nobody_up(self):
        self.start_tls()
        other = self.connect(self.context())
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        shaking = self.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        slow = self.silent().sock
        done = False
        while not done:
            try:
                shaking.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            for byte in outgoing.read():
                slow.sendall(bytes((byte,)))
                if byte % 16 == 0:
                    self.assertEqual(other.call("PING"), b"+PONG\r\n")
            if not done:
                incoming.write(slow.recv(1 << 16))
        shaking.write(b"*1\r\n$4\r\nPING\r\n")
        slow.sendall(outgoing.read())
        answer = b""
        while b"\r\n" not in answer:
            incoming.write(slow.recv(1 << 16))
            try:
                answer += shaking.read(100)
            except ssl.SSLWantReadError:  # a session ticket came first
                continue
        self.assertEqual(answer, b"+PONG\r\n")

    def test_half_open_connections_keep_nobody_out_and_cost_no_more_than_their_number(self):
        self.start_tls()
        before = self.files_at_rest()
        hello = self.hello()
        crowd = [self.silent() for _ in range(STRANGERS_MAX + 60)]
        for client in crowd[::8]:
            try:
                client.sock.sendall(hello)
            except OSError:
                continue  # one of the first, who had to go
        client = self.connect(self.context())
        self.assertEqual(client.call("PING"), b"+PONG\r\n")
        self.assertLessEqual(self.open_files(), before + STRANGERS_MAX + 2)
        self.assertEqual(crowd[1].rest(), b"")  # it has said nothing for the longest time
        for silent in crowd:
            silent.close()
        wait_until(lambda: self.open_files() <= before + 1)
        self.assertEqual(client.call("PING"), b"+PONG\r\n")

    def hello(self):
        """The first message of a handshake."""
        outgoing = ssl.MemoryBIO()
        with self.assertRaises(ssl.SSLWantReadError):
            self.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
        return outgoing.read()

    def test_who_speaks_no_tls_or_stops_in_the_middle_is_gone_and_others_are_served(self):
        self.start_tls()
        before = self.files_at_rest()
        hello = self.hello()
        for data in (b"*1\r\n$4\r\nPING\r\n", b"GET / HTTP/1.1\r\n\r\n", bytes(100),
                     b"\x16\x03\x01\xff\xff" + b"x" * 100, hello[:-1] + b"\xff\xff" * 200, hello[:30]):
            client = self.silent()
            client.sock.sendall(data)
            with contextlib.suppress(OSError):  # it may have been disconnected by now
                client.sock.shutdown(socket.SHUT_WR)
            client.rest()
            self.assertEqual(self.connect(self.context()).call("PING"), b"+PONG\r\n")
        for client in self.clients:
            client.close()
        wait_until(lambda: self.open_files() <= before)

    def test_tls_at_the_door_without(self):
        self.start_tls()
        tls_port, self.port = self.port, self.plain_port
        with self.assertRaises(OSError):
            self.connect(self.context())
        self.port = tls_port
        self.assertEqual(self.connect(self.context()).call("PING"), b"+PONG\r\n")

    def test_garbage_behind_the_handshake_ends_that_connection(self):
        self.start_tls()
        client, other = self.connect(self.context()), self.connect(self.context())
        self.assertEqual(client.call("SET", "k", "v"), b"+OK\r\n")
        with socket.socket(fileno=os.dup(client.sock.fileno())) as raw:
            raw.setblocking(True)
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with self.assertRaises((OSError, EOFError)):
            client.read()
        self.assertEqual(other.call("GET", "k"), b"$1\r\nv\r\n")


if __name__ == "__main__":
    unittest.main()
