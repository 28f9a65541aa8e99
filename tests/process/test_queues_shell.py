"""nosqgrid queue and jobs: what they print, and the exit status where the answer is no."""

import json

from tests.support.processes import TIMEOUT_S
from tests.support.shell import ShellTestCase
from tests.support.tiers import slow


class QueuesShellTest(ShellTestCase):
    def test_put_peek_and_list(self):
        self.assertEqual(self.shell("queue", "put", "mail", '{"to": "ada"}', "-t", "json"), (0, "mail:1\n"))
        self.assertEqual(self.shell("queue", "put", "mail", "x", "--delay", "60", "--kind", "greeting"),
                         (0, "mail:2\n"))
        status, out = self.shell("queue", "peek", "mail")
        self.assertEqual((status, json.loads(out)["payload"]), (0, {"to": "ada"}))
        self.assertEqual(self.shell("queue", "list"), (0, "mail  delayed=1 ready=1\n"))
        self.assertIn("delayed          1\n", self.shell("queue", "stats", "mail")[1])
        lines = self.shell("jobs", "mail")[1].splitlines()
        self.assertEqual([line.split()[:2] for line in lines], [["mail:2", "delayed"], ["mail:1", "ready"]])
        self.assertIn("greeting", lines[0])
        self.assertEqual([row["id"] for row in json.loads(self.shell("jobs", "mail", "-o", "json")[1])],
                         ["mail:2", "mail:1"])

    def test_exit_status_tells_that_nothing_was_done(self):
        for words in (("queue", "kick", "mail"), ("queue", "redrive", "mail"), ("queue", "purge", "mail"),
                      ("queue", "drop", "mail")):
            self.assertEqual(self.shell(*words), (1, "0\n"), words)
        self.grid.queue("mail").put("x", unique="k")
        self.assertEqual(self.shell("queue", "put", "mail", "x", "--unique", "k"), (1, "mail:1\n"))

    @slow
    def test_what_people_do(self):
        queue = self.grid.queue("mail")
        job = queue.put("x", retries=0, keep=60)
        queue.reserve().nack(error="no such address")
        self.assertIn("no such address", self.shell("queue", "peek", "mail", "--state", "dead")[1])
        self.assertEqual(self.shell("queue", "redrive", "mail"), (0, "1\n"))
        self.assertEqual(self.shell("queue", "pause", "mail"), (0, ""))
        self.assertIsNone(queue.reserve(0.02))
        self.assertEqual(self.shell("queue", "resume", "mail"), (0, ""))
        queue.reserve(TIMEOUT_S).ack("sent")
        self.assertEqual(self.shell("jobs", "--id", job.id, "--wait", "1"), (0, "sent\n"))
        self.assertEqual(self.shell("queue", "drain", "mail"), (0, ""))
        with self.start("queue", "put", "mail", "y") as process:
            _, err = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 4)
        self.assertIn(b"takes no more jobs", err)
        self.assertEqual(self.shell("queue", "drain", "mail", "--off"), (0, ""))
        self.assertEqual(self.shell("queue", "put", "mail", "y"), (0, "mail:2\n"))
        self.assertEqual(self.shell("jobs", "--id", "mail:2", "--cancel"), (0, "cancelled\n"))
        self.assertEqual(self.shell("queue", "drop", "mail"), (0, "1\n"))

    @slow
    def test_wrong_usage(self):
        for words in (("jobs",), ("jobs", "mail", "--id", "mail:1"), ("jobs", "mail", "--cancel"), ("queue",),
                      ("queue", "put", "mail", "x", "-t", "int"), ("queue", "put", "mail", "x", "--ttr", "0"),
                      ("queue", "put", "mail", "x", "--delay", "nan"), ("queue", "pause", "mail", "-1"),
                      ("jobs", "--id", "mail:1", "--wait", "-1"), ("jobs", "--id", "mail:1", "--wait", "nan"),
                      ("queue", "peek", "mail", "-n", "0"), ("queue", "redrive", "mail", "-n", "-1"),
                      ("queue", "kick", "mail", "-n", "x"), ("ping", "-c", "-1")):
            with self.start(*words) as process:
                _, err = process.communicate(timeout=TIMEOUT_S)
            self.assertEqual((process.returncode, b"Traceback" in err), (2, False), words)
