"""The command line in processes of its own, over a grid that a test looks at."""

import os
import subprocess
import sys

import nosqgrid
from nosqgrid.client import launcher
from tests.support.processes import REPOSITORY, TIMEOUT_S, ProcessTestCase


class ShellTestCase(ProcessTestCase):
    """`grid` is the grid that the commands find."""

    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        self.grid = nosqgrid.attach(self.launched.address)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def start(self, *words):
        variables = dict(os.environ, PYTHONWARNINGS="error", NOSQGRID_SOCKET=self.launched.address)
        return subprocess.Popen([sys.executable, "-m", "nosqgrid"] + list(words), env=variables, cwd=REPOSITORY,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def shell(self, *words):
        """(exit status, what it printed) of a command that says nothing on stderr."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(err, b"")
        return process.returncode, out.decode()
