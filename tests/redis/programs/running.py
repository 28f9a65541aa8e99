"""Running the programs of this directory: a coordinator, an address, and a Python that has what the program needs.

NOSQGRID_APPLICATIONS names Pythons, separated by ":", that have the packages of .ci/applications.txt and
.ci/applications-arq.txt.  A program runs in the first that has what it needs, and is skipped where none has.
"""

import os
import signal
import subprocess
import tempfile

from nosqgrid.client import launcher
from tests.support.differential import RealClient
from tests.support.processes import ProcessTestCase

PYTHONS = [path for path in os.environ.get("NOSQGRID_APPLICATIONS", "").split(":") if path]
PROGRAMS = os.path.dirname(os.path.abspath(__file__))
PROGRAM_S = 60
_PROBE = """\
import importlib.util, sys
sys.exit(any(importlib.util.find_spec(name) is None for name in sys.argv[1:]))
"""
_found = {}


def python_with(packages):
    """The first Python that has the packages, or None; found out once."""
    if packages not in _found:
        has = (path for path in PYTHONS if os.path.exists(path) and run([path, "-c", _PROBE] + list(packages))[0] == 0)
        _found[packages] = next(has, None)
    return _found[packages]


def run(words, timeout_s=PROGRAM_S, **variables):
    """(exit status, standard output, standard error) of a program; AssertionError, and its end, where it takes long."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                   env=dict(environment, **variables), start_new_session=True)
        try:
            out, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise AssertionError("%s did not end within %d s: %s" % (words, timeout_s, _said(errors))) from None
        return process.returncode, out.decode("utf-8", "replace"), _said(errors)


def _said(errors):
    """The end of what a program wrote to a file."""
    errors.seek(0)
    return errors.read().decode("utf-8", "replace")[-4000:]


class ProgramTestCase(ProcessTestCase):
    """run_program() runs one over a coordinator of the test, which has a Unix socket and a TCP port."""

    def setUp(self):
        super().setUp()
        self.launched = None

    def tearDown(self):
        if self.launched is not None:
            self.launched.stop()
        super().tearDown()

    def serve(self):
        """The coordinator, started where it does not run yet."""
        if self.launched is None:
            self.launched = launcher.start(self.path("grid.sock"), memory="32m", extra_args=("--redis-port", "0"))
        return self.launched

    def url(self, tcp):
        """The address of the coordinator, by TCP or by its socket."""
        address = self.serve().address
        if not tcp:
            return "unix://%s?db=0" % address
        client = RealClient(address)
        port = int(client.call("CONFIG", "GET", "port").split(b"\r\n")[4])
        client.close()
        return "redis://127.0.0.1:%d/0" % port

    def run_program(self, name, packages, *args, tcp=False):
        """Run use_NAME.py with the address and the args."""
        python = python_with(packages)
        if python is None:
            where = " or ".join(PYTHONS) or "what NOSQGRID_APPLICATIONS names"
            self.skipTest("no %s in %s" % (" and ".join(packages), where))
        code, _, errors = run([python, os.path.join(PROGRAMS, "use_%s.py" % name), self.url(tcp)] + list(args))
        self.assertEqual(code, 0, errors)
