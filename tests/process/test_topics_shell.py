"""nosqgrid topic and nosqgrid listen."""

import json
import os
import subprocess
import sys
import unittest

import nosqgrid
import nosqgrid.redis
from nosqgrid.client import launcher
from tests.support.processes import REPOSITORY, TIMEOUT_S, ProcessTestCase, wait_until
from tests.support.tiers import slow


class ShellTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="8m")

    def tearDown(self):
        self.launched.stop()
        super().tearDown()

    def start(self, *words, socket=True):
        variables = dict(os.environ, PYTHONWARNINGS="error")
        if socket:
            variables["NOSQGRID_SOCKET"] = self.launched.address
        return subprocess.Popen([sys.executable, "-m", "nosqgrid"] + list(words), env=variables, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY)

    def run_shell(self, *words, stdin=b"", **options):
        """(exit status, stdout, stderr), as bytes."""
        with self.start(*words, **options) as process:
            out, err = process.communicate(stdin, timeout=TIMEOUT_S)
        return process.returncode, out, err

    @slow
    def test_publish_list_and_tail(self):
        self.assertEqual(self.run_shell("topic", "publish", "news", "one"), (0, b"1\n", b""))
        self.assertEqual(self.run_shell("topic", "publish", "news", "-", "--maxlen", "2", stdin=b"\xff"),
                         (0, b"2\n", b""))
        self.assertEqual(self.run_shell("topic", "--socket", self.launched.address, "publish", "news", '{"a": 1}', "-t",
                                        "json", socket=False), (0, b"3\n", b""))
        self.assertEqual(self.run_shell("topic", "list", "--socket", self.launched.address, socket=False),
                         (0, b"news\n", b""))
        status, out, err = self.run_shell("topic", "tail", "news", "--since", "0", "--no-wait")
        self.assertEqual((status, out.splitlines()[1], err.count(b"1 were missed")), (0, b'3\t{"a": 1}', 1))
        status, out, err = self.run_shell("topic", "tail", "news", "--since", "oldest", "-n", "1", "-o", "json")
        found = json.loads(out.decode())
        self.assertEqual((status, found["seq"], found["missed"], err), (0, 2, 0, b""))
        self.assertEqual(self.run_shell("topic", "tail", "news", "--since", found["cursor"], "--no-wait", "-o", "raw"),
                         (0, b'{"a": 1}\n', b""))
        status, _, err = self.run_shell("topic", "tail", "news", "--since", "99")
        self.assertEqual((status, err.count(b"began anew")), (4, 1))
        for words in (("tail", "news", "--since", "x"), ("tail", "news", "-n", "0"), ("tail",), ("nosuch",), (),
                      ("publish", "news", "x", "-t", "int"), ("publish", "news", "x", "--max-age", "nan"),
                      ("publish", "news", "x", "--max-age", "inf"), ("publish", "news", "x", "--max-age", "-1")):
            self.assertEqual(self.run_shell("topic", *words)[0], 2, words)

    def test_tail_and_listen_wait_for_what_comes(self):
        with self.start("topic", "tail", "news", "-n", "2") as tail, self.start("listen", "k", "-n", "3") as listen:
            with nosqgrid.attach(self.launched.address) as grid:
                wait_until(lambda: self.blocked() == 2, what="both to wait")
                grid.topic("news").publish("one")
                self.assertEqual(tail.stdout.readline(), b"1\tone\n")
                grid["k1"], grid["other"] = 1, 2
                self.assertEqual(listen.stdout.readline(), b"set\tk1\n")
                del grid["k1"]
                grid.clear()
                grid.topic("news").publish("two")
            self.assertEqual(tail.communicate(timeout=TIMEOUT_S), (b"2\ttwo\n", b""))
            self.assertEqual(listen.communicate(timeout=TIMEOUT_S), (b"delete\tk1\nclear\n", b""))
        self.assertEqual((tail.returncode, listen.returncode), (0, 0))

    def blocked(self):
        with nosqgrid.redis.Redis(unix_socket_path=self.launched.address) as redis:
            return redis.info("clients")["blocked_clients"]

    def test_listen_with_other_events(self):
        self.assertEqual(self.run_shell("listen", "--events", "set,nothing")[0], 2)
        self.assertEqual(self.run_shell("listen", "--events", "expire", "--no-wait"), (0, b"", b""))


if __name__ == "__main__":
    unittest.main()
