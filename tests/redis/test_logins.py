"""Passwords and users at a coordinator: by TCP and by the Unix socket, from files and into them."""

import os
import re
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.errors import StartError
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tcp_client import TcpTestCase
from tests.support.tiers import slow

OK = b"+OK\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
USERS = """# who may come in
user default on >boss ~* &* +@all
user reader on >read ~shown:* -@all +@read +@connection
"""


class PasswordTest(TcpTestCase):

    def setUp(self):
        super().setUp()
        self.start("--redis-password-file", self.write_file("password", "s3cret word\nnot this\n"))

    def find_port(self, name):
        local = self.connect_local()
        self.assertEqual(local.call("AUTH", "s3cret word"), OK)
        self.port = int(local.call("CONFIG", "GET", name).split(b"\r\n")[4])
        local.close()

    def test_all_redis_clients_have_to_log_in(self):
        for client in (self.connect(), self.connect_local()):
            self.assertEqual(client.call("SET", "k", "v"), NOAUTH)
            self.assertEqual(client.call("AUTH", "wrong"),
                             b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
            self.assertEqual(client.calls([("AUTH", "s3cret word"), ("SET", "k", "v")]), [OK, OK])
            self.assertEqual(client.call("CONFIG", "GET", "requirepass"),
                             b"*2\r\n$11\r\nrequirepass\r\n$11\r\ns3cret word\r\n")
            self.assertEqual(client.call("RESET"), b"+RESET\r\n")
            self.assertEqual(client.call("GET", "k"), NOAUTH)
        with open("/proc/%d/cmdline" % self.launched.pid, "rb") as file:
            self.assertNotIn(b"s3cret", file.read())

    def test_the_grids_own_clients_do_not(self):
        with nosqgrid.attach(self.launched.address) as grid:
            grid["k"] = [1, 2]
            grid.set_many({"a": 1, "b": b"x" * 300000})
            self.assertEqual(grid.get_or_compute("c", lambda: "made"), "made")
            self.assertEqual((grid["k"], grid["b"][:2], len(grid)), ([1, 2], b"xx", 4))
            del grid["a"]
            client = self.connect()
            client.call("AUTH", "s3cret word")
            self.assertEqual(client.call("ACL", "SETUSER", "default", "resetkeys", "-@all", "+acl"), OK)
            grid["k"] = 3
            grid.clear()
            self.assertEqual(len(grid), 0)
        with nosqgrid.attach(self.launched.address) as grid:
            grid["k"] = 4
            self.assertEqual(grid["k"], 4)

    def test_before_that_they_send_little(self):
        long = self.connect()
        long.send(*["GET"] + ["x"] * 10)
        self.assertEqual(long.rest(), b"-ERR Protocol error: unauthenticated multibulk length\r\n")
        large = self.connect()
        large.sock.sendall(b"*2\r\n$3\r\nGET\r\n$16385\r\n")
        self.assertEqual(large.rest(), b"-ERR Protocol error: unauthenticated bulk length\r\n")
        client = self.connect()
        value = b"x" * 100000
        self.assertEqual(client.calls([("AUTH", "s3cret word"), ("SET", "k", value), ["DEL"] + ["k"] * 20]),
                         [OK, OK, b":1\r\n"])

    def test_a_password_can_be_changed_and_taken_away(self):
        client = self.connect()
        client.call("AUTH", "s3cret word")
        self.assertEqual(client.call("CONFIG", "SET", "requirepass", "other"), OK)
        self.assertEqual(client.call("PING"), b"+PONG\r\n")
        new = self.connect()
        self.assertEqual([new.call("PING"), new.call("AUTH", "other"), new.call("PING")], [NOAUTH, OK, b"+PONG\r\n"])
        client.call("CONFIG", "SET", "requirepass", "")
        self.assertEqual(self.connect().call("PING"), b"+PONG\r\n")


class ExposedTest(TcpTestCase):

    def test_without_a_password_only_this_machine_is_served(self):
        password = self.write_file("password", "x")
        self.launched = launcher.start(memory="16m", extra_args=(
            "--redis-port", "0", "--redis-address", "0.0.0.0", "--redis-password-file", password))
        local = self.connect_local()
        local.call("AUTH", "x")
        self.port = int(local.call("CONFIG", "GET", "port").split(b"\r\n")[4])
        self.assertEqual(self.connect().call("AUTH", "x"), OK)
        self.assertEqual(local.call("CONFIG", "SET", "requirepass", ""), OK)
        self.assertEqual(self.connect().rest(), b"-DENIED no password is set, so that only clients on this machine are "
                         b"served\r\n")
        self.assertEqual(local.call("ACL", "SETUSER", "default", ">y"), OK)
        self.assertEqual(self.connect().call("AUTH", "y"), OK)


class UsersTest(TcpTestCase):

    def setUp(self):
        super().setUp()
        self.path_of_users = self.write_file("users.acl", USERS)

    def find_port(self, name):
        self.local = self.connect_local()
        self.assertEqual(self.local.call("AUTH", "boss"), OK)
        self.port = int(self.local.call("CONFIG", "GET", name).split(b"\r\n")[4])

    @slow
    def test_users_come_from_a_file_and_go_back_into_it(self):
        self.start("--acl-file", self.path_of_users)
        reader = self.connect()
        self.assertEqual(reader.call("HELLO", "2", "AUTH", "reader", "read")[:5], b"*14\r\n")
        self.local.call("SET", "shown:a", "1")
        self.assertEqual(reader.call("GET", "shown:a"), b"$1\r\n1\r\n")
        self.assertRegex(reader.call("GET", "hidden"), b"^-NOPERM .* one of the keys")
        self.assertRegex(reader.call("SET", "shown:a", "2"), b"^-NOPERM .* run the 'set' command")
        self.assertEqual(self.local.call("ACL", "SETUSER", "new", "on", ">pw", "~*", "+get"), OK)
        self.assertEqual(self.local.call("ACL", "SAVE"), OK)
        with open(self.path_of_users) as file:
            saved = file.read()
        self.assertEqual(re.sub("#[0-9a-f]{64}", "#", saved),
                         "user default on # ~* &* +@all\nuser new on # ~* resetchannels -@all +get\n"
                         "user reader on # ~shown:* resetchannels -@all +@read +@connection\n")
        self.assertNotIn("boss", saved)
        self.assertEqual(os.stat(self.path_of_users).st_mode & 0o777, 0o600)
        self.stop()
        self.start("--acl-file", self.path_of_users)
        self.assertEqual(self.connect().call("AUTH", "new", "pw"), OK)

    def test_loading_is_all_or_nothing_and_ends_who_was_logged_in(self):
        self.start("--acl-file", self.path_of_users)
        reader = self.connect()
        self.assertEqual(reader.call("AUTH", "reader", "read"), OK)
        self.write_file("users.acl", USERS + "user bad +nosuch\nuser reader on\n")
        self.assertEqual(self.local.call("ACL", "LOAD"), (
            "-ERR %s:4: Unknown command or category name in ACL. %s:5: WARNING: duplicate user 'reader' found. "
            "WARNING: ACL errors detected, no change to the previously active ACL rules was performed\r\n"
            % ((self.path_of_users,) * 2)).encode())
        self.assertEqual(reader.call("GET", "shown:a"), b"$-1\r\n")
        self.write_file("users.acl", USERS.replace("~shown:*", "~other:*"))
        self.assertEqual(self.local.call("ACL", "LOAD"), OK)
        self.assertEqual(reader.rest(), b"")
        self.assertEqual(self.local.call("ACL", "WHOAMI"), b"$7\r\ndefault\r\n")
        os.unlink(self.path_of_users)
        self.assertRegex(self.local.call("ACL", "LOAD"), b"^-ERR cannot read .*users.acl: No such file")
        os.mkdir(self.path_of_users)
        self.assertRegex(self.local.call("ACL", "SAVE"), b"^-ERR There was an error trying to save the ACLs")
        os.rmdir(self.path_of_users)

    def test_who_is_deleted_or_hears_too_much_is_disconnected(self):
        self.start("--acl-file", self.path_of_users)
        self.local.call("ACL", "SETUSER", "ear", "on", "nopass", "+@all", "&news", "&more")
        ear, other = self.connect(), self.connect()
        for client in (ear, other):
            self.assertEqual(client.call("AUTH", "ear", ""), OK)
        ear.call("SUBSCRIBE", "news", "more")
        ear.read()
        self.local.call("ACL", "SETUSER", "ear", "resetchannels", "&news")
        self.assertEqual(ear.rest(), b"")
        self.assertEqual(other.call("PING"), b"+PONG\r\n")
        self.local.call("ACL", "DELUSER", "ear")
        self.assertEqual(other.rest(), b"")
        wait_until(lambda: b"connected_clients:1\r\n" in self.local.call("INFO", "clients"))


class FileTest(ProcessTestCase):

    def refused(self, pattern, *options):
        with self.assertRaisesRegex(StartError, pattern):
            launcher.start(memory="16m", extra_args=options).stop()

    def write(self, name, text, mode=0o600):
        path = self.path(name, keep=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    @slow
    def test_files_that_are_of_no_use_are_refused(self):
        self.refused("cannot read .*none: No such file or directory", "--redis-password-file", self.path("none"))
        self.refused("begins with an empty line", "--redis-password-file", self.write("empty", "\nx"))
        self.refused("others can write .* and decide who is let in; chmod go-w it", "--redis-password-file",
                     self.write("open", "x", 0o666))
        self.refused("is not a regular file", "--acl-file", self.directory)
        self.refused("at most 65536 are read", "--redis-password-file", self.write("long", "x" * 65537))
        self.refused("users:2: Unknown command or category name in ACL. WARNING: ACL errors detected", "--acl-file",
                     self.write("users", "user a on\nuser b +nosuch\n"))
        self.refused("give one of them", "--acl-file", self.write("u", ""), "--redis-password-file",
                     self.write("p", "x"))
        self.refused("whoever reaches 0.0.0.0 could read", "--redis-port", "0", "--redis-address", "0.0.0.0",
                     "--acl-file", self.write("open-users", "user default on nopass +@all ~*\n"))


if __name__ == "__main__":
    unittest.main()
