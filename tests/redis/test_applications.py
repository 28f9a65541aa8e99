"""Applications that use Redis, unmodified, over a coordinator: the programs of tests/redis/programs.

They run in Pythons that have the packages of .ci/applications.txt and .ci/applications-arq.txt: NOSQGRID_APPLICATIONS
names them, separated by ":".  Without it they are skipped.  What needs EVAL is left out of the programs, each says so.
"""

import json
import os
import signal
import subprocess
import tempfile
import unittest

from nosqgrid.client import launcher
from tests.support.processes import REPOSITORY, ProcessTestCase

PYTHONS = [path for path in os.environ.get("NOSQGRID_APPLICATIONS", "").split(":") if path]
PROGRAMS = os.path.join(REPOSITORY, "tests", "redis", "programs")
PROGRAM_S = 60
PACKAGES = {
    "django_cache": ("django", "redis"), "django_redis": ("django_redis",), "cachelib": ("cachelib", "redis"),
    "flask_caching": ("flask_caching", "redis"), "walrus": ("walrus",), "apscheduler": ("apscheduler", "redis"),
    "kombu": ("kombu", "redis"), "arq": ("arq",), "rq_scheduler": ("rq_scheduler",), "aiocache": ("aiocache", "redis"),
    "socketio": ("socketio", "redis", "aiohttp"),
}
_PROBE = """\
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))
"""
_installed = {}


def installed(python):
    """Which of the packages a Python has; asked once."""
    if python not in _installed and not os.path.exists(python):
        _installed[python] = set()  # where it could not be made, there is nothing to run
    if python not in _installed:
        names = sorted({name for needed in PACKAGES.values() for name in needed})
        code, out, errors = run([python, "-c", _PROBE] + names)
        if code != 0:
            raise AssertionError("%s cannot be asked for its packages: %s" % (python, errors))
        _installed[python] = set(json.loads(out))
    return _installed[python]


def run(words, timeout_s=PROGRAM_S):
    """(exit status, standard output, standard error) of a program; AssertionError, and its end, where it takes long."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                   env=environment, start_new_session=True)
        try:
            out, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise AssertionError("%s did not end within %d s: %s" % (words, timeout_s, said(errors))) from None
        return process.returncode, out.decode("utf-8", "replace"), said(errors)


def said(errors):
    """The end of what a program wrote to a file."""
    errors.seek(0)
    return errors.read().decode("utf-8", "replace")[-4000:]


class ApplicationsTest(ProcessTestCase):

    def run_program(self, name, options=(), url="unix://%s?db=0"):
        """Run a program over a new coordinator in the first Python that has what it needs."""
        for python in PYTHONS:
            if installed(python).issuperset(PACKAGES[name]):
                break
        else:
            where = " or ".join(PYTHONS) or "what NOSQGRID_APPLICATIONS names"
            self.skipTest("no %s in %s" % (" and ".join(PACKAGES[name]), where))
        with launcher.start(self.path("grid.sock"), memory="32m", extra_args=options) as launched:
            code, _, errors = run([python, os.path.join(PROGRAMS, "use_%s.py" % name), url % launched.address])
            self.assertEqual(code, 0, errors)

    def test_django_cache(self):
        self.run_program("django_cache")

    def test_django_redis(self):
        self.run_program("django_redis")

    def test_cachelib(self):
        self.run_program("cachelib")

    def test_flask_caching(self):
        self.run_program("flask_caching")

    def test_walrus(self):
        self.run_program("walrus")

    def test_apscheduler(self):
        self.run_program("apscheduler")

    def test_kombu(self):
        self.run_program("kombu")

    def test_arq(self):
        self.run_program("arq")

    def test_rq_scheduler(self):
        self.run_program("rq_scheduler")

    def test_socketio(self):
        self.run_program("socketio")


if __name__ == "__main__":
    unittest.main()
