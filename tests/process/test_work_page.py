"""The programs of docs/work.md run as they stand there, and print what the page says."""

import os
import signal

from tests.process.test_examples import commands_of, programs_of
from tests.style.test_docs import text_of
from tests.support.processes import REPOSITORY, ProcessTestCase, wait_until
from nosqgrid.client import launcher
from tests.support.tiers import slow

PAGE = os.path.join(REPOSITORY, "docs", "work.md")
LIBRARY = "tasks.py"  # the module that the others import


class PageTests(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(self.path("s"), memory="16m")
        self.page = text_of(PAGE)
        for name, program in programs_of(self.page).items():
            with open(self.path(name, keep=True), "w", encoding="utf-8") as file:
                file.write(program)
        self.environment = {"NOSQGRID_SOCKET": self.launched.address, "PYTHONDONTWRITEBYTECODE": "1",
                            "PYTHONPATH": REPOSITORY + os.pathsep + self.directory}

    def tearDown(self):
        self.launched.stop()
        super().tearDown()

    def run_program(self, name):
        (printed,) = [printed for found, _, printed in commands_of(self.page) if found == name]
        child = self.spawn([self.path(name)], environment=self.environment)
        self.assertEqual(child.finish(60).rstrip("\n"), printed)

    def worker(self):
        return self.spawn(["-m", "nosqgrid", "worker", "-q", "mail,reports,long", "-c", "2", "tasks"],
                          environment=self.environment)

    def test_every_program_is_run_here(self):
        self.assertEqual(set(programs_of(self.page)) - {LIBRARY}, {name for name, _, _ in commands_of(self.page)})
        self.assertEqual(set(programs_of(self.page)), {LIBRARY, "retry.py", "pool.py", "night.py", "deploy.py"})

    def test_retry_with_backoff(self):
        worker = self.worker()
        self.run_program("retry.py")
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)

    def test_map_over_a_pool(self):
        self.run_program("pool.py")

    def test_nightly_job(self):
        self.run_program("night.py")

    @slow
    def test_deploy(self):
        self.run_program("deploy.py")
        wait_until(lambda: not [name for name in os.listdir(self.directory) if name.startswith("nosqgrid-worker-")])
