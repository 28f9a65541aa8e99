"""JOB.* over the real keyspace with a log: results and other ends, and what people do to queues and jobs."""

from nosqgrid.engine.jobs import many
from nosqgrid.errors import DiskError
from tests.support.job_clients import WAITS, JobTest


class OutcomeTest(JobTest):
    def test_a_result_is_kept_for_its_time(self):
        self.put("q KEEP 1000")
        self.ack(self.take(), more=("6", "[1]"))
        self.pass_ms(999)
        told = self.info("q:1")
        self.assertEqual((told["state"], told["result_type"], told["result"]), (b"done", 6, b"[1]"))
        self.pass_ms(1)
        self.assertIsNone(self.info("q:1"))
        self.assertEqual(self.stats()["done"], 0)

    def test_who_waits_for_the_end_is_told_the_result_even_if_it_is_not_kept(self):
        self.put()
        self.assertIsNone(self.call("JOB.WAIT q:1 0"))
        self.assertIs(self.call("JOB.WAIT q:1 -1", client=1), WAITS)
        self.assertIs(self.call("JOB.WAIT q:1 50", client=2), WAITS)
        self.pass_ms(50)
        self.assertEqual(self.answers(), {2: None})
        self.ack(self.take(), more=("1", "out"))
        told = self.answers()[1]
        self.assertEqual((told["state"], told["result"]), (b"done", b"out"))
        self.pass_ms(20000)
        self.assertIsNone(self.info("q:1"))
        self.assertEqual(self.call("JOB.WAIT q:1 -1"), {"id": b"q:1", "queue": b"q", "state": b"forgotten"})

    def test_a_queue_that_is_named_like_a_job(self):
        self.put()
        self.assertIs(self.reserve("q:1", 1, wait="-1"), WAITS)
        self.assertIs(self.call("JOB.WAIT q:1 -1", client=2), WAITS)
        self.ack(self.take())
        self.assertEqual(self.answers()[2]["state"], b"done")
        self.put("q:1")
        self.assertEqual(self.answers()[1][0][0], b"q:1:1")

    def test_who_waits_for_an_empty_queue(self):
        self.put(), self.put("q DELAY 10")
        self.assertIsNone(self.call("JOB.JOIN q 0"))
        self.assertIs(self.call("JOB.JOIN q -1", client=1), WAITS)
        self.ack(self.take())
        self.pass_ms(10)
        taken = self.take()
        self.assertEqual(self.answers(), {})
        self.ack(taken)
        self.assertEqual((self.answers(), self.call("JOB.JOIN none -1")), ({1: 1}, 1))

    def test_who_waits_is_told_of_every_end(self):
        told = []
        for number, end in enumerate(("JOB.CANCEL q:1", "JOB.PURGE q", "JOB.DROP q"), 1):
            self.put()
            self.assertIs(self.call("JOB.WAIT q:%d -1" % number, client=1), WAITS)
            self.call(end)
            told.append(self.answers()[1]["state"])
        self.assertEqual(told, [b"cancelled", b"forgotten", b"forgotten"])

    def test_a_job_that_nobody_begins_in_time_is_dropped(self):
        self.put("q TTL 100 KEEP 1000"), self.put("q TTL 100 DELAY 200"), self.put("q TTL 100")
        self.put("r AFTER 1 q:3")
        self.assertEqual(self.take()[0], "q:1")
        self.pass_ms(100)
        self.assertEqual([self.state("q:%d" % number) for number in (1, 2, 3)], ["reserved", None, None])
        self.assertEqual(self.state("r:1"), "dead")
        self.put("q TTL 100 KEEP 1000")
        self.pass_ms(100)
        self.assertEqual((self.state("q:4"), self.info("q:4")["error"][:7]), ("cancelled", b"expired"))

    def test_progress(self):
        self.put()
        taken = self.take()
        self.assertEqual(self.call(["JOB.PROGRESS"] + taken + ["0.4", "two of five"]), 1)
        self.assertEqual(self.call(["JOB.PROGRESS"] + taken + ["0.6", "three"]), 1)
        told = self.info("q:1")
        self.assertEqual((told["progress"], told["pid"]), ([b"0.6", b"three"], 100))
        self.call(["JOB.NACK"] + taken)
        self.assertNotIn("progress", self.info("q:1"))


class ControlTest(JobTest):
    def test_cancel_one_that_nobody_has(self):
        self.put("q KEEP 500"), self.put("q DELAY 100")
        self.assertEqual((self.call("JOB.CANCEL q:1"), self.call("JOB.CANCEL q:2")), (b"cancelled", b"cancelled"))
        self.assertEqual((self.state("q:1"), self.state("q:2"), self.reserve()), ("cancelled", None, []))
        self.assertEqual(self.call("JOB.CANCEL q:1"), b"cancelled")
        self.pass_ms(500)
        self.assertIsNone(self.state("q:1"))

    def test_cancel_one_that_is_run_asks_its_worker(self):
        self.put("q RETRIES 9")
        taken = self.take()
        self.assertEqual(self.call(["JOB.TOUCH"] + taken), [60000, 0])
        self.assertEqual(self.call("JOB.CANCEL q:1"), b"reserved")
        self.assertEqual(self.call(["JOB.TOUCH"] + taken), [60000, 1])
        self.assertEqual(self.call(["JOB.NACK"] + taken), b"cancelled")
        self.assertIsNone(self.state("q:1"))
        self.put()
        taken = self.take()
        self.call("JOB.CANCEL q:2")
        self.assertEqual(self.ack(taken), 1)

    def test_a_cancelled_one_whose_worker_dies_is_not_run_again(self):
        self.put("q KEEP 1000")
        self.take(client=1)
        self.call("JOB.CANCEL q:1")
        self.end(1)
        self.assertEqual(self.state("q:1"), "cancelled")

    def test_priority_can_be_changed_and_is_kept(self):
        self.put(), self.put("q DELAY 10"), self.put()
        self.call("JOB.PRIORITY q:3 -1")
        self.call("JOB.PRIORITY q:2 -2")
        self.restart()
        self.pass_ms(10)
        self.assertEqual([job for job, _ in self.reserve(count=9)], ["q:2", "q:3", "q:1"])

    def test_pause(self):
        self.put()
        self.assertEqual(self.call("JOB.PAUSE q 100"), 1)
        self.assertIs(self.reserve("q", 1, wait="-1"), WAITS)
        self.put()
        self.assertEqual(self.answers(), {})
        self.pass_ms(100)
        self.assertEqual(self.answers()[1][0][0], b"q:1")
        self.call("JOB.PAUSE q -1")
        self.pass_ms(10 ** 9)
        self.assertEqual(self.reserve(), [])
        self.assertIs(self.reserve("q", 2, wait="-1"), WAITS)
        self.call("JOB.PAUSE q 0")
        self.assertEqual(self.answers()[2][0][0], b"q:2")

    def test_drain(self):
        self.put()
        self.call("JOB.DRAIN q 1")
        self.assertTrue(self.refused("JOB.PUT q 0 x").startswith("DRAINING queue q takes no more"))
        self.assertEqual(self.ack(self.take()), 1)
        self.call("JOB.DRAIN q 0")
        self.put()

    def test_peek(self):
        for number in range(5):
            self.put("q PRIORITY %d" % -number)
        self.assertEqual([one["id"] for one in self.call("JOB.PEEK q ready 2 1")], [b"q:4", b"q:3"])
        self.assertEqual(self.call("JOB.PEEK q ready 0"), [])
        self.assertEqual(self.call("JOB.PEEK q dead 3"), [])

    def test_kick(self):
        for delay in (300, 100, 200):
            self.put("q DELAY %d" % delay)
        self.assertEqual(self.call("JOB.KICK q 2"), 2)
        self.assertEqual([job for job, _ in self.reserve(count=9)], ["q:2", "q:3"])
        self.assertEqual(self.call("JOB.KICK q 99"), 1)

    def test_purge(self):
        self.put(), self.put("q DELAY 10"), self.put("q AFTER 1 q:1"), self.put("q RETRIES 0")
        self.call("JOB.PRIORITY q:4 -1")
        self.call(["JOB.NACK"] + self.take())
        self.put("q PRIORITY -9")
        taken = self.take()
        self.assertEqual(self.call("JOB.PURGE q dead"), 1)
        self.assertEqual(self.call("JOB.PURGE q"), 3)
        self.assertEqual((self.stats()["length"], self.stats()["reserved"]), (0, 1))
        self.assertEqual(self.ack(taken), 1)

    def test_a_large_purge_makes_the_queue_anew(self):
        self.addCleanup(setattr, many, "PURGED_ONE_BY_ONE", many.PURGED_ONE_BY_ONE)
        many.PURGED_ONE_BY_ONE = 3
        self.call("JOB.CONFIG q retries 8 maxlen 30")
        for _ in range(10):
            self.put("q PRIORITY 1 UNIQUE u%d UNTIL 5000" % self.stats()["put"])
        taken = self.take()
        self.put("r AFTER 1 " + taken[0])
        self.assertIs(self.call("JOB.PUTMANY q 25 %s WAIT -1" % " ".join(["0 x"] * 25), client=1), WAITS)
        self.log.error = DiskError("planted")
        self.refused("JOB.PURGE q")
        self.log.error = None
        self.assertEqual(self.call("JOB.PURGE q"), 9)
        self.assertEqual(len(self.answers()[1]), 25)
        self.assertEqual((self.stats()["put"], self.call("JOB.CONFIG q")["retries"]), (35, b"8"))
        self.assertEqual(self.call("JOB.PUT q 0 x UNIQUE u3 UNTIL 5"), [b"q:4", 0])
        self.assertEqual(self.ack(taken), 1)
        self.assertEqual(self.state("r:1"), "ready")

    def test_config(self):
        self.assertEqual(self.call("JOB.CONFIG q"),
                         dict.fromkeys(("ttr", "retries", "keep", "maxlen", "overflow"), b""))
        self.call("JOB.CONFIG q ttr 77 retries 1 keep 9 MAXLEN 50 overflow drop_newest")
        self.put(), self.put("q TTR 5 RETRIES 0 KEEP 1")
        told = [self.info("q:%d" % number) for number in (1, 2)]
        self.assertEqual([(one["ttr_ms"], one["retries"], one["keep_ms"]) for one in told], [(77, 1, 9), (5, 0, 1)])
        self.call(["JOB.CONFIG", "q", "ttr", "", "maxlen", "0"])
        self.assertEqual(self.call("JOB.CONFIG q")["ttr"], b"")
        self.assertEqual(self.stats()["maxlen"], 0)

    def test_a_queue_that_is_dropped_with_jobs_in_hand(self):
        self.put()
        taken = self.take()
        self.call("JOB.DROP q")
        self.assertTrue(self.refused(["JOB.ACK"] + taken).startswith("NOJOB "))
        self.put()
        self.assertTrue(self.refused(["JOB.ACK"] + taken).startswith("STALE "))
        self.pass_ms(60000)
        self.assertEqual((self.state("q:2"), len(self.jobs.leases)), ("ready", 0))
