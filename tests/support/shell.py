"""The command line in processes of its own, over a grid that a test looks at."""

import os
import subprocess
import sys

from tests.support.processes import REPOSITORY, TIMEOUT_S
from tests.support.served import GridTestCase


class ShellTestCase(GridTestCase):
    """`grid` is the grid that the commands find."""

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
