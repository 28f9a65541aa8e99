"""Workers of a grid for tests: a coordinator that can be killed and come back, jobs for tests.support.work_tasks."""

import os
import signal

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.client.link import named_values
from nosqgrid.client.queues.words import put_words
from nosqgrid.formats import values
from tests.support.processes import ProcessTestCase, wait_until

TASKS = "tests.support.work_tasks"
ENDED = ("done", "dead", "cancelled", "forgotten")


class WorkingTestCase(ProcessTestCase):
    """`grid` is attached to a coordinator; with DURABLE it has a directory, and restart() brings it back."""

    DURABLE = False
    allowed_files = ("data", "data/*", "s.lock")

    def setUp(self):
        super().setUp()
        self.launched = self._launch()
        self.grid = nosqgrid.attach(self.launched.address, reconnect=30.0)

    def _launch(self):
        directory = ["--dir", self.path("data"), "--durability", "os"] if self.DURABLE else []
        return launcher.start(self.path("s"), memory="32m", extra_args=directory)

    def kill_coordinator(self):
        self.launched.process.kill()
        self.launched.process.wait()
        self.launched.stop()

    def restart(self):
        self.launched = self._launch()
        wait_until(self._is_attached, what="the grid to be attached again")

    def _is_attached(self):
        try:
            return self.grid.ping()
        except nosqgrid.CoordinatorLostError:
            return False

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def work(self, *options, module=TASKS):
        """Start a worker."""
        words = ["-m", "nosqgrid", "worker"] + list(options) + ([module] if module else [])
        return self.spawn(words, environment={"NOSQGRID_SOCKET": self.launched.address})

    def put(self, task, *args, queue="default", **options):
        """Put a job for a task; its id."""
        value_type, payload = values.encode([list(args), {}])
        words = put_words(kind="%s:%s" % (TASKS, task), **dict({"keep": 600}, **options))
        return self.command("JOB.PUT", queue, value_type, payload, *words)[0]

    def command(self, *words):
        return self.grid._store.command(*words)

    def info(self, job_id):
        reply = self.command("JOB.INFO", job_id)
        return {"state": "forgotten"} if reply is None else named_values(reply, "")

    def ended(self, job_id, timeout_s=60.0):
        """What is known of a job when it has ended."""
        return wait_until(lambda: self._if_ended(job_id), timeout_s, "job %r to end" % job_id)

    def _if_ended(self, job_id):
        found = self.info(job_id)
        return found if found["state"] in ENDED else None

    def result(self, job_id):
        found = self.ended(job_id)
        self.assertEqual(found["state"], "done", found.get("error"))
        raw = dict(self.command("JOB.INFO", job_id))
        return values.decode(raw[b"result_type"], raw[b"result"])

    def await_key(self, key):
        return wait_until(lambda: self.grid.get(key), what="key %s" % key)

    def end(self, worker, status=0):
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), status, worker.errors())


def children_of(pid):
    """The pids of the direct children of a process."""
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def is_there(pid):
    """Whether a process exists and is no zombie."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


HAS_CHILDREN = os.path.exists("/proc/self/task/%d/children" % os.getpid())
