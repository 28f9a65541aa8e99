"""JOB.FOLLOWED: who is told of the ends of which jobs.  SCHEDULE.*: jobs that are put by the clock."""

from nosqgrid.errors import DiskError
from nosqgrid.formats import resp
from tests.support.job_clients import WAITS, JobTest

DAY_MS = 86400 * 1000


def refuse(*effects):
    """A log without room."""
    raise DiskError("full")


class FollowingTest(JobTest):
    def setUp(self):
        super().setUp()
        for context in self.contexts[:2]:
            context.session.pid = 100

    def follow(self, options="", client=0):
        return self.put("q FOLLOW %d KEEP 60000 %s" % (self.contexts[1].session.id, options), client=client)

    def told(self, ms="0", *ids):
        found = self.call(["JOB.FOLLOWED", ms] + list(ids), 1)
        return found if found is WAITS else [(row[0].decode(), row[1].decode(), row[3]) for row in found]

    def following(self):
        return self.contexts[0].server.following

    def test_whoever_follows_is_told_of_each_end_once(self):
        first, second, third = self.follow(), self.follow(), self.follow("RETRIES 0")
        self.assertEqual(self.told(), [])
        taken = self.take()
        self.ack(taken, more=["0", "result"])
        self.call(["JOB.CANCEL", second])
        taken = self.take()
        self.call(["JOB.NACK"] + taken + ["ERROR", "no luck"])
        self.assertEqual(self.told(), [(first, "done", b"result"), (second, "cancelled", b""),
                                       (third, "dead", b"no luck")])
        self.assertEqual(self.told(), [])
        self.assertEqual(self.jobs.followed, {})

    def test_a_question_is_answered_with_the_next_end(self):
        job = self.follow()
        self.assertIs(self.told("-1"), WAITS)
        self.put()
        self.assertEqual(self.answers(), {})
        self.ack(self.take(), more=["0", "r"])
        self.assertEqual(self.answers(), {1: [[job.encode(), b"done", 0, b"r"]]})

    def test_a_question_has_its_time(self):
        self.follow()
        self.assertIs(self.told("50"), WAITS)
        self.pass_ms(51)
        self.assertEqual(self.answers(), {1: []})
        self.ack(self.take())
        self.assertEqual(len(self.told()), 1)

    def test_ids_may_be_followed_later(self):
        job, other = self.put("q KEEP 5000"), self.put("q KEEP 5000")
        self.ack(self.take())
        self.assertEqual(self.told("0", job, other, "q:77", "nothing"),
                         [(job, "done", b""), ("q:77", "forgotten", b""), ("nothing", "forgotten", b"")])
        self.ack(self.take())
        self.assertEqual(self.told(), [(other, "done", b"")])

    def test_the_last_who_follows_is_told(self):
        job = self.follow()
        self.assertEqual(self.call(["JOB.FOLLOWED", "0", job], 2), [])
        self.ack(self.take())
        self.assertEqual(self.told(), [])
        self.assertEqual(len(self.call("JOB.FOLLOWED 0", 2)), 1)

    def test_jobs_that_are_purged_or_dropped_have_ended(self):
        jobs = [self.follow() for _ in range(3)]
        self.call("JOB.PURGE q")
        self.assertEqual([row[0] for row in self.told()], jobs)
        jobs = [self.follow() for _ in range(3)]
        self.call("JOB.DROP q")
        self.assertEqual(self.told(), [(job, "forgotten", b"") for job in jobs])

    def test_a_session_that_ends_follows_nothing(self):
        self.follow()
        self.following().session_ended(self.contexts[1].session)
        self.assertEqual((self.jobs.followed, self.following()._followers), ({}, {}))
        self.ack(self.take())

    def test_only_sessions_of_the_same_process_may_be_named(self):
        for number in (self.contexts[2].session.id, 999):
            self.assertIn("none of this process", self.refused("JOB.PUT q 0 x FOLLOW %d" % number))

    def test_what_is_taken_back_was_not_followed(self):
        kept, self.log.append = self.log.append, refuse
        self.refused("JOB.PUT q 0 x FOLLOW %d" % self.contexts[1].session.id)
        self.log.append = kept
        self.assertEqual(self.jobs.followed, {})
        job = self.follow()
        taken = self.take()
        self.log.append = refuse
        self.refused(["JOB.ACK"] + taken)
        self.log.append = kept
        self.assertEqual(self.told(), [])
        self.ack(taken)
        self.assertEqual(self.told(), [(job, "done", b"")])


class ScheduleCommandsTest(JobTest):
    def setUp(self):
        super().setUp()
        self.wall_ms = 20000 * DAY_MS - self.space.now_ms
        self.schedules = self.contexts[0].server.schedules

    def tick(self):
        super().tick()
        self.schedules.tick(self.space.now_ms / 1000.0)

    def rows(self, client=0, *pattern):
        return self.call(["SCHEDULE.LIST"] + list(pattern), client)

    def test_a_schedule_from_its_set_to_its_end(self):
        begin = 20000 * DAY_MS
        words = "SCHEDULE.SET k EVERY 1000 q 0 payload KIND t RETRIES 1"
        self.assertEqual(self.call(words), [1, begin + 1000])
        self.assertEqual(self.call(words), [0, begin + 1000])
        row, = self.rows()
        self.assertEqual((row["key"], row["kind"], row["rule"], row["queue"], row["payload"], row["options"]),
                         (b"k", b"EVERY", b"1000", b"q", b"payload", [b"KIND", b"t", b"RETRIES", b"1"]))
        self.pass_ms(1000)
        found = self.info("q:1")
        self.assertEqual((found["state"], found["kind"], found["scheduled_ms"]), (b"ready", b"t", begin + 1000))
        self.pass_ms(999)
        self.assertIsNone(self.info("q:2"))
        self.pass_ms(1)
        self.assertEqual(self.info("q:2")["scheduled_ms"], begin + 2000)
        self.assertEqual((self.rows()[0]["count"], self.rows()[0]["note"]), (2, b"q:2"))
        self.assertEqual(self.call("SCHEDULE.RUN k"), b"q:3")
        self.assertEqual((self.call("SCHEDULE.DELETE k"), self.call("SCHEDULE.DELETE k"), self.rows()), (1, 0, []))
        self.assertIsNone(self.call("SCHEDULE.RUN k"))

    def test_who_waits_for_a_job_gets_it(self):
        self.call("SCHEDULE.SET k EVERY 1000 q 0 x")
        self.assertIs(self.reserve(client=2, wait="-1"), WAITS)
        self.pass_ms(1000)
        self.waiting.serve()
        self.assertEqual(self.answers()[2][0][0], b"q:1")

    def test_a_job_keeps_its_time_through_its_attempts(self):
        self.call("SCHEDULE.SET k EVERY 1000 q 0 x BACKOFF 0 0 1000 0")
        self.pass_ms(1000)
        due = self.info("q:1")["scheduled_ms"]
        self.call(["JOB.NACK"] + self.take() + ["ERROR", "e"])
        self.assertEqual(self.info("q:1")["scheduled_ms"], due)
        self.take()
        self.assertEqual(self.info("q:1")["scheduled_ms"], due)

    def test_a_unique_job_is_not_put_twice(self):
        self.call("SCHEDULE.SET k EVERY 1000 q 0 x UNIQUE u")
        self.pass_ms(1000)
        self.pass_ms(1000)
        self.assertEqual((self.stats()["put"], self.rows()[0]["note"]), (1, b"q:1 is there already"))

    def test_a_full_or_draining_queue_lets_a_tick_be_over(self):
        self.call("SCHEDULE.SET k EVERY 1000 q 0 x MAXLEN 1")
        self.pass_ms(1000)
        self.pass_ms(1000)
        self.assertEqual((self.stats()["put"], self.rows()[0]["note"]), (1, b"not put: the queue is full"))
        self.call("JOB.PURGE q")
        self.call("JOB.DRAIN q 1")
        self.pass_ms(1000)
        self.assertIn(b"not put", self.rows()[0]["note"])
        self.call("JOB.DRAIN q 0")
        self.pass_ms(1000)
        self.assertEqual(self.stats()["put"], 2)

    def test_what_makes_no_sense_is_refused(self):
        for words, told in (("SCHEDULE.SET k EVERY 5 q 0 x", "100 to"), ("SCHEDULE.SET k AT 5000 q 0 x", "CRON rule"),
                            ("SCHEDULE.SET k EVERY 5000 q 99 x", "type"),
                            ("SCHEDULE.SET k EVERY 5000 q 0 x ODD", "syntax"),
                            ("SCHEDULE.SET k EVERY 5000 q 0 x DELAY 5", "DELAY"),
                            (["SCHEDULE.SET", "k", "CRON", "* *", "q", "0", "x"], "five fields"),
                            ("SCHEDULE.SET k EVERY 5000 q 0 x ETA 5", "ETA"),
                            ("SCHEDULE.SET k EVERY 5000 q 0 x WAIT -1", "WAIT"),
                            ("SCHEDULE.SET k EVERY 5000 q 0 x FOLLOW 1", "FOLLOW"),
                            ("SCHEDULE.SET k EVERY 5000 q 0 x AFTER 1 q:1", "AFTER")):
            self.assertIn(told, self.refused(words))
        self.assertEqual(self.call("SCHEDULE.SET k EVERY 5000 q 0 x KIND DELAY")[0], 1)

    def test_databases_have_schedules_of_their_own(self):
        self.call("SELECT 3", 1)
        self.call("SCHEDULE.SET k EVERY 1000 q 0 x", 1)
        self.call("SCHEDULE.SET k EVERY 1000 q 0 y")
        self.assertEqual([(row["key"], row["queue"], row["payload"]) for row in self.rows(1)], [(b"k", b"q", b"x")])
        self.assertEqual([row["payload"] for row in self.rows()], [b"y"])
        self.assertEqual((len(self.rows(0, "k*")), len(self.rows(0, "z*"))), (1, 0))
        self.pass_ms(1000)
        found = self.call("JOB.PEEK q ready 5", 1)
        self.assertEqual([(row["id"], row["payload"]) for row in found], [(b"q:1", b"x")])
        self.call("SCHEDULE.DELETE k", 1)
        self.assertEqual((len(self.rows()), self.rows(1)), (1, []))

    def test_within_a_transaction(self):
        self.call("MULTI")
        self.call("SCHEDULE.SET k EVERY 1000 q 0 x")
        self.call("SET plain 1")
        self.assertEqual(self.call("EXEC")[1], resp.OK)
        self.assertEqual(len(self.rows()), 1)
