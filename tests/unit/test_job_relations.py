"""JOB.* over the real keyspace with a log: unique jobs, groups, dependencies, full queues; and anything at random."""

import random

from nosqgrid.engine.structures.job_records import STATES
from nosqgrid.errors import DiskError, NosqgridError
from tests.support.job_clients import WAITS, JobTest, everything
from tests.support.tiers import FULL, slow

RUNS = 60 if FULL else 6
LENGTH = 250


class UniqueTest(JobTest):
    def again(self, words):
        return self.call("JOB.PUT q 0 other " + words)

    def test_until_finished(self):
        self.put("q UNIQUE k RETRIES 1 BACKOFF 50 50 1000 0")
        for _ in range(2):
            self.assertEqual(self.again("UNIQUE k"), [b"q:1", 0])
            taken = self.take()
            self.assertEqual(self.again("UNIQUE k"), [b"q:1", 0])
            self.call(["JOB.NACK"] + taken)
            self.pass_ms(50)
        self.assertEqual(self.state("q:1"), "dead")
        self.assertEqual(self.again("UNIQUE k"), [b"q:2", 1])
        self.ack(self.take())
        self.assertEqual(self.again("UNIQUE k"), [b"q:3", 1])
        self.assertEqual(self.again("UNIQUE other"), [b"q:4", 1])
        self.assertEqual(self.call("JOB.PUT r 0 x UNIQUE k"), [b"r:1", 1])

    def test_until_started(self):
        self.put("q UNIQUE k UNTIL started")
        self.assertEqual(self.again("UNIQUE k UNTIL started"), [b"q:1", 0])
        taken = self.take()
        self.assertEqual(self.again("UNIQUE k UNTIL started"), [b"q:2", 1])
        self.call(["JOB.NACK"] + taken + ["DELAY", "0"])
        self.assertEqual(self.again("UNIQUE k UNTIL started"), [b"q:2", 0])
        self.call("JOB.CANCEL q:2")
        self.assertEqual(self.again("UNIQUE k UNTIL started"), [b"q:3", 1])

    def test_until_some_time_after_the_put_whatever_becomes_of_it(self):
        self.put("q UNIQUE k UNTIL 1000")
        self.ack(self.take())
        self.pass_ms(999)
        self.assertEqual(self.again("UNIQUE k UNTIL 1000"), [b"q:1", 0])
        self.restart()
        self.assertEqual(self.again("UNIQUE k UNTIL 1000"), [b"q:1", 0])
        self.pass_ms(1)
        self.assertEqual(self.again("UNIQUE k UNTIL 1000"), [b"q:2", 1])
        self.pass_ms(999)
        self.assertEqual(self.again("UNIQUE k"), [b"q:2", 0])

    def test_keys_of_the_past_do_not_stay_in_memory(self):
        for number in range(200):
            self.put("q UNIQUE k%d UNTIL 10" % number)
            self.pass_ms(5)
        self.assertLess(len(self.space.structures.by_key[b"\xff\x00db\x11q"].holds), 5)

    def test_replace(self):
        self.put("q UNIQUE k PRIORITY 3 DELAY 500", "old")
        self.put("r AFTER 1 q:1")
        self.assertEqual(self.call("JOB.PUT q 1 new UNIQUE k REPLACE"), [b"q:1", 0])
        told = self.info("q:1")
        self.assertEqual((told["payload"], told["type"], told["priority"], told["state"], told["leads"]),
                         (b"new", 1, 0, b"ready", [b"r:1"]))
        taken = self.take()
        self.assertEqual(self.call("JOB.PUT q 1 newer UNIQUE k REPLACE"), [b"q:1", 0])
        self.assertEqual(self.info("q:1")["payload"], b"new")
        self.ack(taken)
        self.assertEqual(self.state("r:1"), "ready")

    def test_a_dead_job_is_not_redriven_beside_another_with_its_key(self):
        self.put("q UNIQUE k RETRIES 0")
        self.call(["JOB.NACK"] + self.take())
        self.put("q UNIQUE k")
        self.assertEqual(self.call("JOB.REDRIVE q -1"), 0)
        self.ack(self.take())
        self.assertEqual(self.call("JOB.REDRIVE q -1"), 1)
        self.assertEqual(self.again("UNIQUE k"), [b"q:1", 0])


class GroupTest(JobTest):
    def test_a_tenant_with_many_jobs_does_not_starve_the_others(self):
        for _ in range(50):
            self.put("q GROUP big")
        self.put("q GROUP small")
        self.put("q GROUP small")
        found = self.call("JOB.RESERVE COUNT 4 QUEUES 1 q")
        self.assertEqual(sorted(one[6] for one in found), [b"big", b"big", b"small", b"small"])

    def test_shares_follow_what_is_in_flight_not_what_was_handed_out(self):
        for group in ("a", "b"):
            for _ in range(10):
                self.put("q GROUP " + group)
        held = []
        for _ in range(6):
            (one,) = self.call("JOB.RESERVE QUEUES 1 q")
            if one[6] == b"a":
                held.append(one)
            else:
                self.ack([one[0].decode(), str(one[1])])
        self.assertEqual(len(held), 1)

    def test_priority_comes_before_fairness(self):
        self.put("q GROUP a PRIORITY 1"), self.put("q GROUP b PRIORITY 5"), self.put("q GROUP a PRIORITY 1")
        self.assertEqual([job for job, _ in self.reserve(count=3)], ["q:1", "q:3", "q:2"])

    def test_fifo_one_in_flight_in_order_through_failures(self):
        jobs = [self.put("q GROUP g FIFO BACKOFF 100 100 1000 0") for _ in range(3)]
        other = self.put("q GROUP h FIFO")
        taken = self.take()
        self.assertEqual([job for job, _ in self.reserve(count=9, client=1)], [other])
        self.call(["JOB.NACK"] + taken)
        self.assertEqual(self.reserve(), [])
        self.assertIs(self.reserve("q", 2, wait="-1"), WAITS)
        self.pass_ms(100)
        (again,) = self.answers()[2]
        self.assertEqual(again[0].decode(), jobs[0])
        self.assertIs(self.reserve("q", 3, wait="-1"), WAITS)
        self.ack([jobs[0], "2"], 2)
        self.assertEqual(self.answers()[3][0][0].decode(), jobs[1])
        self.end(3)
        self.assertEqual(self.take()[0], jobs[1])


class DependencyTest(JobTest):
    def test_a_job_waits_for_others_of_several_queues(self):
        self.put(), self.put("r")
        self.put("s AFTER 2 q:1 r:1")
        self.assertEqual((self.state("s:1"), self.reserve("s")), ("waiting", []))
        self.assertIs(self.reserve("s", 2, wait="-1"), WAITS)
        self.ack(self.take("r"))
        self.assertEqual(self.info("s:1")["needs"], [b"q:1"])
        self.assertEqual(self.answers(), {})
        self.ack(self.take("q"))
        self.assertEqual(self.answers()[2][0][0], b"s:1")
        self.assertEqual((self.info("s:1")["after"], self.info("s:1")["needs"]), ([b"q:1", b"r:1"], []))

    def test_a_delay_counts_as_well(self):
        self.put()
        self.put("q AFTER 1 q:1 DELAY 500")
        self.pass_ms(200)
        self.ack(self.take())
        self.assertEqual(self.state("q:2"), "delayed")
        self.pass_ms(300)
        self.assertEqual(self.state("q:2"), "ready")

    def test_one_that_is_finished_needs_no_waiting(self):
        self.put("q KEEP 1000"), self.put()
        for _ in range(2):
            self.ack(self.take())
        self.put("q AFTER 3 q:1 q:2 q:1")
        self.assertEqual(self.state("q:3"), "ready")

    def test_one_that_is_dead_takes_those_that_wait_for_it_along(self):
        self.put("q RETRIES 0")
        self.put("r AFTER 1 q:1")
        self.put("s AFTER 1 r:1")
        self.assertIsNone(self.call("JOB.WAIT s:1 -1", client=1))
        self.call(["JOB.NACK"] + self.take())
        self.assertEqual([self.state("r:1"), self.state("s:1")], ["dead", "dead"])
        self.assertIn(b"q:1", self.info("r:1")["error"])
        self.assertEqual(self.answers()[1]["state"], b"dead")
        self.put("t AFTER 1 q:1")
        self.assertEqual(self.state("t:1"), "dead")

    def test_redriven_from_the_first_they_go_on_in_order(self):
        self.put("q RETRIES 0")
        self.put("r AFTER 1 q:1")
        self.call(["JOB.NACK"] + self.take())
        self.assertEqual(self.call("JOB.REDRIVE r -1"), 1)
        self.assertEqual(self.state("r:1"), "waiting")
        self.assertEqual(self.call("JOB.REDRIVE q -1"), 1)
        self.ack(self.take())
        self.assertEqual(self.state("r:1"), "ready")

    def test_one_that_is_redriven_when_what_it_waits_for_is_gone(self):
        self.put("q RETRIES 0")
        self.put("r AFTER 1 q:1")
        self.call(["JOB.NACK"] + self.take())
        self.assertEqual(self.call("JOB.PURGE q dead"), 1)
        self.assertEqual(self.call("JOB.REDRIVE r -1"), 1)
        self.assertEqual(self.state("r:1"), "ready")

    def test_nobody_waits_for_ever_for_one_that_was_removed(self):
        for remove in ("JOB.CANCEL q:%d", "JOB.PURGE q", "JOB.DROP q"):
            job = self.put()
            dependent = self.put("r AFTER 1 " + job)
            self.call(remove % int(job.split(":")[1]) if "%" in remove else remove)
            self.assertEqual(self.state(dependent), "dead", remove)

    def test_a_dead_one_that_is_purged_while_a_redriven_one_waits(self):
        self.put("q RETRIES 0")
        self.put("r AFTER 1 q:1")
        self.call(["JOB.NACK"] + self.take())
        self.call("JOB.REDRIVE r -1")
        self.call("JOB.PURGE q dead")
        self.assertEqual(self.state("r:1"), "dead")

    @slow
    def test_a_long_chain_falls_at_once(self):
        self.put("q RETRIES 0")
        for number in range(1, 3000):
            self.put("q AFTER 1 q:%d" % number)
        self.call(["JOB.BURY"] + self.take())
        self.assertEqual(self.stats()["dead"], 3000)

    def test_a_wide_one(self):
        for _ in range(200):
            self.put()
        self.put("r AFTER 200 " + " ".join("q:%d" % number for number in range(1, 201)))
        for _ in range(200):
            self.assertEqual(self.state("r:1"), "waiting")
            self.ack(self.take())
        self.assertEqual(self.state("r:1"), "ready")
        queue = self.space.structures.by_key[b"\xff\x00db\x11q"]
        self.assertEqual((queue.leads, queue.size_bytes), ({}, type(queue)().size_bytes))


class FullTest(JobTest):
    def test_error_tells_how_many(self):
        self.put("q MAXLEN 2 OVERFLOW error"), self.put()
        self.assertIn("QUEUEFULL the queue has its 2 jobs", self.refused("JOB.PUT q 0 x MAXLEN 2 OVERFLOW error"))
        self.take()
        self.put("q MAXLEN 2 OVERFLOW error")

    def test_drop_newest_and_a_put_that_does_not_wait(self):
        self.put()
        for words in ("OVERFLOW drop_newest", "OVERFLOW block", "OVERFLOW drop_newest WAIT -1", ""):
            self.assertIsNone(self.call("JOB.PUT q 0 x MAXLEN 1 " + words))
        self.assertEqual(self.stats()["put"], 1)

    def test_drop_oldest(self):
        self.call("JOB.CONFIG q maxlen 3 overflow drop_oldest")
        for number in range(1, 8):
            self.put("q PRIORITY -%d" % number)
        self.assertIsNone(self.state("q:4"))
        self.assertEqual([job for job, _ in self.reserve(count=9)], ["q:7", "q:6", "q:5"])
        self.assertIsNone(self.call("JOB.PUTMANY q 4 0 a 0 b 0 c 0 d"))

    def test_a_put_that_waits_goes_on_when_there_is_room(self):
        self.call("JOB.CONFIG q maxlen 1")
        self.put()
        self.assertIs(self.call("JOB.PUT q 0 second WAIT -1", client=1), WAITS)
        self.assertIs(self.call("JOB.PUT q 0 third WAIT 100", client=2), WAITS)
        self.assertEqual(self.take(client=3)[0], "q:1")
        self.assertEqual(self.answers(), {1: [b"q:2", 1]})
        self.pass_ms(100)
        self.assertEqual(self.answers(), {2: None})
        self.assertEqual(self.stats()["length"], 1)

    def test_every_way_out_makes_room(self):
        self.call("JOB.CONFIG q maxlen 1")
        for way in ("JOB.CANCEL q:%d", "JOB.PURGE q", "JOB.DROP q", "JOB.CONFIG q maxlen 2", "reserve", "expire"):
            self.call("JOB.DROP q")
            self.call("JOB.CONFIG q maxlen 1")
            job = self.put("q TTL 1000")
            self.assertIs(self.call("JOB.PUT q 0 second WAIT -1", client=1), WAITS)
            if way == "reserve":
                self.take()
            elif way == "expire":
                self.pass_ms(1000)
            else:
                self.call(way % int(job.split(":")[1]) if "%" in way else way)
            self.assertEqual(list(self.answers()), [1], way)

    def test_a_put_and_a_worker_that_wait_hand_over(self):
        self.call("JOB.CONFIG q maxlen 1")
        self.put()
        self.assertIs(self.call("JOB.PUT q 0 second WAIT -1", client=1), WAITS)
        self.take()
        self.assertEqual(self.answers(), {1: [b"q:2", 1]})
        self.assertEqual(self.take(client=2), ["q:2", "1"])
        self.assertIs(self.reserve("q", 2, wait="-1"), WAITS)
        self.assertEqual(self.call("JOB.PUT q 0 third WAIT -1"), [b"q:3", 1])
        self.assertEqual((self.answers()[2][0][0], self.stats()["length"]), (b"q:3", 0))


class RandomTest(JobTest):
    """Anything in any order: what is told stays consistent, and a replay of the log makes the same."""

    def step(self, rng, handed):
        queue, client = rng.choice("ab"), rng.randrange(4)
        kind = rng.randrange(20)
        if kind < 6:
            words = "JOB.PUT %s 0 x RETRIES 2 BACKOFF 5 20 2000 500" % queue
            words += rng.choice(("", "", " DELAY 7", " PRIORITY 3", " GROUP g", " GROUP f FIFO", " UNIQUE u",
                                 " UNIQUE u UNTIL started", " UNIQUE v UNTIL 30", " KEEP 20", " TTL 15",
                                 " AFTER 1 a:%d" % rng.randrange(1, 60), " MAXLEN 9 OVERFLOW drop_oldest",
                                 " UNIQUE u REPLACE"))
            return self.call(words, client)
        if kind < 11:
            for one in self.call("JOB.RESERVE COUNT %d QUEUES 2 a b" % rng.randrange(1, 4), client):
                self.assertNotIn((one[0], one[1]), handed)
                handed[one[0], one[1]] = client
            return None
        if kind < 16 and handed:
            job, receipt = rng.choice(sorted(handed))
            words = rng.choice(("JOB.ACK %s %d", "JOB.NACK %s %d", "JOB.NACK %s %d DELAY 0", "JOB.BURY %s %d",
                                "JOB.TOUCH %s %d", "JOB.NACK %s %d FRONT NOCOUNT", "JOB.CANCEL %s"))
            return self.call(words % ((job.decode(), receipt) if "%d" in words else job.decode()), client)
        if kind == 16:
            return self.end(client)
        if kind == 17:
            return self.pass_ms(rng.choice((1, 5, 40)))
        return self.call(rng.choice(("JOB.REDRIVE %s -1", "JOB.KICK %s 2", "JOB.PURGE %s", "JOB.PURGE %s dead",
                                     "JOB.PAUSE %s 3", "JOB.DROP %s")) % queue if rng.random() < 0.5 else "JOB.QUEUES")

    @slow
    def test_a_replay_makes_what_is_there(self):
        for seed in range(RUNS):
            rng, handed = random.Random(seed), {}
            self.setUp()
            refused = done = 0
            for _ in range(LENGTH):
                self.log.error = DiskError("planted") if rng.random() < 0.05 else None
                before = everything(self.space), self.space.version
                try:
                    self.step(rng, handed)
                    done += 1
                except NosqgridError:
                    refused += 1
                    self.assertEqual((everything(self.space), self.space.version), before)
            self.log.error = None
            self.assertGreater(done, LENGTH // 2)
            self.assertGreater(refused, 5)
            self.check_leases()
            self.tearDown()
            self.restart()
            self.pass_ms(100)

    def check_leases(self):
        """Every job that is reserved has its lease."""
        for key in self.jobs.keys():
            queue = self.jobs.queue(key)
            for number, job in queue.jobs.items():
                if STATES[job[0][0]] == b"reserved":
                    self.assertIsNotNone(self.jobs.leases.find(key, number, int.from_bytes(job[0][8:12], "little")))
