"""Jobs whose workers are lost, whose time is over, or whose coordinator ended, over the real keyspace with a log."""

from nosqgrid.errors import DiskError, GridFullError
from tests.support.job_clients import WAITS, JobTest


class LossTest(JobTest):
    def test_a_worker_that_dies_gives_its_jobs_back_at_once_and_the_attempt_counts(self):
        self.put(), self.put()
        self.reserve(client=1, count=2)
        self.assertIs(self.reserve("q", 2, wait="-1"), WAITS)
        self.end(1)
        self.assertEqual(self.answers()[2][0][:5], [b"q:1", 2, 0, b"x", 2])
        self.assertEqual((self.state("q:2"), self.info("q:2")["attempts"]), ("ready", 1))
        self.assertEqual(self.info("q:2")["failures"][0][2], b"pid 101")
        self.assertEqual(len(self.jobs.leases), 1)

    def test_a_job_that_kills_its_workers_does_not_stand_in_front_and_dies_in_the_end(self):
        poison = self.put("q RETRIES 3 BACKOFF 1000 9000 2000 0")
        self.put("q DELAY 1")
        self.pass_ms(1)
        self.assertEqual(self.take(client=1)[0], poison)
        self.pass_ms(1)
        self.end(1)
        self.assertEqual(self.state(poison), "ready")
        self.assertEqual(self.take(client=2)[0], "q:2")
        for expected in (1000, 2000):
            self.assertEqual(self.take(client=1)[0], poison)
            self.end(1)
            self.assertEqual(self.state(poison), "delayed")
            self.assertEqual(self.info(poison)["at_ms"] - self.space.wall_ms(), expected)
            self.pass_ms(expected)
        self.assertEqual(self.take(client=1)[0], poison)
        self.end(1)
        self.assertEqual(self.state(poison), "dead")
        self.assertEqual(len(self.info(poison)["failures"]), 4)

    def test_a_lease_ends_by_the_monotonic_clock_whatever_the_wall_clock_does(self):
        self.put("q TTR 1000")
        self.take()
        self.wall_ms += 10 ** 9
        self.tick()
        self.assertEqual(self.state("q:1"), "reserved")
        self.wall_ms -= 2 * 10 ** 9
        self.pass_ms(999)
        self.assertEqual(self.state("q:1"), "reserved")
        self.assertAlmostEqual(self.jobs.sleep_s(0), 0.001)
        self.pass_ms(1)
        self.assertEqual(self.state("q:1"), "ready")
        self.assertIn(b"time to run (1000 ms) was over", self.info("q:1")["error"])

    def test_a_wall_clock_that_is_set_forward_lets_delayed_jobs_be_due(self):
        self.put("q DELAY 3600000")
        self.assertLessEqual(self.jobs.sleep_s(0), 1.0)
        self.wall_ms += 3600000
        self.tick()
        self.assertEqual(self.state("q:1"), "ready")

    def test_the_ttr_of_each_job_counts_for_itself(self):
        self.put("q TTR 5000"), self.put("q TTR 100")
        self.reserve(count=2)
        self.pass_ms(100)
        self.assertEqual((self.state("q:1"), self.state("q:2")), ("reserved", "ready"))

    def test_what_the_disk_refuses_to_give_back_is_given_back_later(self):
        self.put("q TTR 100000")
        self.take(client=1)
        self.log.error = DiskError("planted")
        self.end(1)
        self.assertEqual(self.state("q:1"), "reserved")
        self.pass_ms(1000)
        self.log.error = None
        self.assertEqual(self.state("q:1"), "reserved")
        self.pass_ms(1000)
        self.assertEqual((self.state("q:1"), len(self.jobs.leases)), ("ready", 0))

    def test_a_full_grid_hands_out_acknowledges_and_takes_back(self):
        def full(size):
            raise GridFullError("planted")
        self.call("JOB.PUTMANY q 300 " + " ".join(["0 x"] * 300))
        table = self.space.structures
        table._take = full
        with self.assertRaises(GridFullError):
            while True:
                self.put("q", "y" * 50000)
        held = self.reserve(client=1, count=200)
        self.assertEqual(len(held), 200)
        self.assertEqual(self.ack([held[0][0], "1"]), 1)
        big = ["JOB.NACK", held[1][0], "1", "ERROR", "e" * 60000]
        while table.reserved_bytes - table.used_bytes > 60000:
            self.put("q", "y" * 50000)
        with self.assertRaises(GridFullError):
            self.call(big)
        while table.reserved_bytes - table.used_bytes > 500:
            self.put("q", "z" * max(table.reserved_bytes - table.used_bytes - 800, 0))
        self.end(1)
        self.assertEqual((self.stats()["reserved"], len(self.jobs.leases)), (0, 0))
        told = self.info(held[5][0])
        self.assertEqual((told["state"], told["attempts"], told["failures"]),
                         (b"ready", 1, [[1, self.space.wall_ms(), b"pid 101", b""]]))

    def test_times_that_were_replaced_do_not_stay_in_memory(self):
        for number in range(1, 500):
            self.put("q DELAY %d" % (100000 - number))
            self.call("JOB.CANCEL q:%d" % number)
        self.assertLess(len(self.jobs._heap), 100)

    def test_leases_that_are_over_leave_nothing(self):
        for _ in range(300):
            self.put("q TTR 100000")
            self.ack(self.take())
        self.assertEqual((len(self.jobs.leases), self.jobs.leases._by_session), (0, {}))
        self.assertLess(len(self.jobs.leases._deadlines), 100)


class RestartTest(JobTest):
    def test_what_is_reserved_stays_so_while_its_worker_lives(self):
        self.put("q TTR 5000"), self.put()
        taken = self.take(client=1)
        self.space.now_ms += 4000
        self.restart(living=(101,))
        self.assertEqual([(self.state("q:1")), self.state("q:2")], ["reserved", "ready"])
        self.assertEqual(list(self.processes.watched), [101])
        self.pass_ms(4000)
        self.assertEqual(self.ack(taken, client=2), 1)
        self.assertEqual(len(self.jobs.leases), 0)

    def test_at_most_for_its_time_to_run(self):
        self.put("q TTR 5000")
        self.take(client=1)
        self.restart(living=(101,))
        self.pass_ms(5000)
        self.assertEqual(self.state("q:1"), "ready")

    def test_whose_worker_is_dead_goes_back_at_once(self):
        self.put()
        taken = self.take(client=1)
        self.restart()
        self.assertEqual((self.state("q:1"), self.info("q:1")["attempts"]), ("ready", 1))
        self.assertTrue(self.refused(["JOB.ACK"] + taken).startswith("STALE "))

    def test_whose_worker_dies_later_goes_back_then(self):
        self.put()
        taken = self.take(client=1)
        self.restart(living=(101,))
        self.assertEqual(self.call(["JOB.TOUCH"] + taken, client=2), [60000, 0])
        self.processes.watched[101](101)
        self.assertEqual(self.state("q:1"), "ready")

    def test_a_worker_that_is_back_owns_its_job_again(self):
        self.put()
        taken = self.take(client=1)
        self.restart(living=(101,))
        self.call(["JOB.TOUCH"] + taken, client=2)
        self.end(2)
        self.assertEqual(self.state("q:1"), "ready")

    def test_delays_pauses_and_settings_outlive_it(self):
        self.put("q DELAY 500")
        self.put("q KEEP 700")
        self.ack(self.take(), more=("0", "out"))
        self.call("JOB.CONFIG q retries 7")
        self.call("JOB.PAUSE q 300")
        self.restart()
        self.assertEqual((self.stats()["paused"], self.call("JOB.CONFIG q")["retries"]), (1, b"7"))
        self.assertLessEqual(self.jobs.sleep_s(0), 0.3)
        self.pass_ms(500)
        self.assertEqual((self.stats()["paused"], self.state("q:1")), (0, "ready"))
        self.assertEqual(self.info("q:2")["result"], b"out")
        self.pass_ms(200)
        self.assertIsNone(self.info("q:2"))

    def test_a_coordinator_that_ends_leaves_jobs_to_the_next(self):
        self.put()
        self.take(client=1)
        self.jobs.close()
        self.jobs.session_ended(self.contexts[1].session)
        self.assertEqual(self.state("q:1"), "reserved")
