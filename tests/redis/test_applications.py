"""Applications that use Redis, unmodified, over a coordinator: the programs of tests/redis/programs.

What needs EVAL is left out of the programs; each says so.  Which Pythons run them: see programs/running.py.
"""

import unittest

from tests.redis.programs.running import ProgramTestCase


class ApplicationsTest(ProgramTestCase):

    def test_django_cache(self):
        self.run_program("django_cache", ("django", "redis"))

    def test_django_redis(self):
        self.run_program("django_redis", ("django_redis",))

    def test_cachelib(self):
        self.run_program("cachelib", ("cachelib", "redis"))

    def test_flask_caching(self):
        self.run_program("flask_caching", ("flask_caching", "redis"))

    def test_walrus(self):
        self.run_program("walrus", ("walrus",))

    def test_apscheduler(self):
        self.run_program("apscheduler", ("apscheduler", "redis"))

    def test_kombu(self):
        self.run_program("kombu", ("kombu", "redis"))

    def test_kombu_by_tcp(self):
        self.run_program("kombu", ("kombu", "redis"), tcp=True)

    def test_arq(self):
        self.run_program("arq", ("arq",))

    def test_rq_scheduler(self):
        self.run_program("rq_scheduler", ("rq_scheduler",))

    def test_aiocache(self):
        self.run_program("aiocache", ("aiocache", "redis"), tcp=True)

    def test_socketio(self):
        self.run_program("socketio", ("socketio", "redis", "aiohttp"))


del ProgramTestCase

if __name__ == "__main__":
    unittest.main()
