"""JOB.* over the real keyspace with a log: putting, reserving, and what comes of it.  What peers' users complain about
is here by name.
"""

from nosqgrid.engine.structures.job_records import STATES
from nosqgrid.errors import DiskError
from nosqgrid.formats import lane
from nosqgrid.formats.records import BODY
from nosqgrid.formats.resp import encode_command
from tests.support.job_clients import WAITS, JobTest


class PutAndReserveTest(JobTest):
    def test_a_job_from_its_put_to_its_end(self):
        job = self.put("mail KIND send", "hello")
        self.assertEqual(job, "mail:1")
        found = self.call("JOB.RESERVE WAIT 0 COUNT 1 ORDER strict QUEUES 1 mail WORKER w7 THREAD t1")
        self.assertEqual(found, [[b"mail:1", 1, 0, b"hello", 1, b"send", b"", 0, 60000, self.space.wall_ms()]])
        told = self.info(job)
        self.assertEqual((told["state"], told["worker"], told["thread"], told["pid"], told["left_ms"]),
                         (b"reserved", b"w7", b"t1", 100, 60000))
        self.assertEqual(self.call("JOB.ACK mail:1 1"), 1)
        self.assertIsNone(self.info(job))
        self.assertEqual(self.reserve("mail"), [])

    def test_numbers_rise_and_are_never_given_twice(self):
        for _ in range(3):
            self.ack([self.put()] + [self.take()[1]])
        self.assertEqual(self.put(), "q:4")
        self.call("JOB.DROP q")
        self.assertEqual((self.call("JOB.QUEUES"), self.call("JOB.DROP q")), ([], 0))
        self.assertEqual(self.put(), "q:5")

    def test_an_unknown_queue_has_nothing(self):
        self.assertEqual(self.reserve("none other"), [])
        self.assertEqual(self.stats("none")["length"], 0)
        self.assertEqual(self.call("JOB.PEEK none ready 5"), [])
        self.assertEqual(self.space.structures.by_key, {})

    def test_several_queues_strictly(self):
        self.put("lo"), self.put("hi"), self.put("lo")
        self.assertEqual(self.reserve("hi lo", count=9), [("hi:1", 1), ("lo:1", 1), ("lo:2", 1)])

    def test_several_queues_by_weight(self):
        for _ in range(400):
            self.put("hi"), self.put("lo")
        words = "JOB.RESERVE COUNT 200 ORDER weighted QUEUES 2 hi 4 lo 1"
        found = [job[0].split(b":")[0] for job in self.call(words)]
        self.assertEqual(len(found), 200)
        self.assertTrue(25 <= found.count(b"lo") <= 60, found.count(b"lo"))
        self.assertEqual(len(self.call("JOB.RESERVE COUNT 900 ORDER weighted QUEUES 2 hi 4 lo 0")), 600)

    def test_priority_then_ready_time_then_number(self):
        late, urgent = self.put("q DELAY 10"), self.put("q PRIORITY -3")
        first, second, last = self.put(), self.put(), self.put("q PRIORITY 9")
        self.pass_ms(10)
        self.assertEqual([job for job, _ in self.reserve(count=9)], [urgent, first, second, late, last])

    def test_many_at_once(self):
        made = self.call(["JOB.PUTMANY", "q", "3", "0", "a", "1", "b", "0", "c", "PRIORITY", "2"])
        self.assertEqual(made, [[b"q:1", 1], [b"q:2", 1], [b"q:3", 1]])
        found = self.call("JOB.RESERVE COUNT 3 QUEUES 1 q")
        self.assertEqual([(one[2], one[3], one[7]) for one in found], [(0, b"a", 2), (1, b"b", 2), (0, b"c", 2)])
        self.refused(["JOB.PUTMANY", "q", "2", "0", "a", "0", "b", "UNIQUE", "u"])
        self.refused("JOB.PUTMANY q 3 0 a 0 b")

    def test_no_worker_is_given_more_than_it_asks_for(self):
        for _ in range(5):
            self.put()
        self.assertEqual(len(self.reserve(count=2, client=1)), 2)
        self.assertEqual(len(self.reserve(count=5, client=2)), 3)

    def test_delay_and_eta(self):
        delayed = self.put("q DELAY 500")
        eta = self.put("q ETA %d" % (self.space.wall_ms() + 300))
        past = self.put("q ETA 1")
        self.assertEqual([self.state(job) for job in (delayed, eta, past)], ["delayed", "delayed", "ready"])
        self.assertEqual(self.reserve(count=9), [(past, 1)])
        self.pass_ms(300)
        self.assertEqual(self.reserve(count=9), [(eta, 1)])
        self.space.now_ms += 200  # nobody looked at the clock
        self.assertEqual(self.reserve(count=9), [(delayed, 1)])

    def test_a_job_in_the_future_is_held_by_no_worker_and_does_not_run_twice(self):
        job = self.put("q DELAY 3600000 TTR 1000")
        for _ in range(20):
            self.assertEqual(self.reserve(), [])
            self.pass_ms(100000)
        self.pass_ms(1600000)
        self.assertEqual(self.reserve(), [(job, 1)])
        self.assertEqual(self.reserve(client=1), [])

    def test_who_waits_is_served_first_come_first_served(self):
        for client in (1, 2, 3):
            self.assertIs(self.reserve("q", client, wait="-1"), WAITS)
        self.put()
        self.assertEqual(list(self.answers()), [1])
        self.call("JOB.PUTMANY q 2 0 a 0 b")
        self.assertEqual(list(self.answers()), [2, 3])

    def test_who_waits_gets_nothing_when_his_time_is_up(self):
        self.assertIs(self.reserve("q", 1, wait="500"), WAITS)
        self.pass_ms(499)
        self.assertEqual(self.answers(), {})
        self.pass_ms(1)
        self.assertEqual(self.answers(), {1: []})
        job = self.put()
        self.assertEqual(self.answers(), {})
        self.assertEqual(self.reserve(client=2), [(job, 1)])

    def test_who_waits_is_woken_when_a_delayed_job_is_due(self):
        self.put("q DELAY 500")
        self.assertIs(self.reserve("other q", 1, wait="-1"), WAITS)
        self.assertLessEqual(self.jobs.sleep_s(0), 0.5)
        self.pass_ms(500)
        self.assertEqual(self.answers()[1][0][0], b"q:1")

    def test_a_thousand_who_wait_are_not_all_asked(self):
        asked = []
        attempt = self.waiting._attempt
        for client in range(1, 5):
            self.assertIs(self.reserve("q", client, wait="-1"), WAITS)
        self.waiting._attempt = lambda waiter, key: asked.append(waiter) or attempt(waiter, key)
        self.put()
        self.assertEqual(list(self.answers()), [1])
        self.assertLessEqual(len(asked), 3)

    def test_in_a_transaction_nobody_waits_and_everything_is_one(self):
        self.assertIs(self.reserve("q", 1, wait="-1"), WAITS)
        self.call("MULTI")
        for words in ("SET k v", "JOB.PUT q 0 a", "JOB.RESERVE WAIT -1 QUEUES 1 other", "JOB.PUT q 0 b"):
            self.assertEqual(self.call(words), "QUEUED")
            self.assertEqual(self.answers(), {})
        entries = len(self.log.entries)
        self.assertEqual(self.call("EXEC"), ["OK", [b"q:1", 1], [], [b"q:2", 1]])
        self.assertEqual(len(self.log.entries), entries + 2)  # and what the waiter was handed
        self.assertEqual(self.answers()[1][0][:2], [b"q:1", 1])

    def test_in_a_batch_over_the_socket_nobody_waits_either(self):
        def frame(*words):
            command = encode_command(*words)
            return BODY.pack(len(command), 0, 0, lane.COMMAND) + command
        batch = (frame("SET", "k", "v") + frame("JOB.PUT", "q", "0", "x") + frame("BLPOP", "none", "0")
                 + frame("JOB.RESERVE", "WAIT", "-1", "QUEUES", "1", "other") + frame("JOB.RESERVE", "QUEUES", "1", "q")
                 + frame("JOB.PUT", "q", "0", "y", "MAXLEN", "1")
                 + frame("JOB.PUT", "q", "0", "z", "MAXLEN", "1", "WAIT", "-1"))
        replies = self.call([b"NOSQGRID.BATCH", batch])
        self.assertEqual(replies[:2] + replies[3:4] + replies[5:], ["OK", [b"q:1", 1], [], [b"q:2", 1], None])
        self.assertEqual((replies[4][0][0], len(self.waiting)), (b"q:1", 0))
        self.assertEqual(self.ack(["q:1", "1"]), 1)

    def test_ack_and_data_commit_together_or_not_at_all(self):
        self.put("q KEEP 1000")
        taken = self.take()
        self.call("MULTI")
        for words in ("SET result 42", "JOB.ACK %s %s" % tuple(taken), "JOB.PUT next 0 x", "JOB.RESERVE QUEUES 1 next"):
            self.call(words)
        self.log.error = DiskError("planted")
        with self.assertRaises(DiskError):
            self.call("EXEC")
        self.log.error = None
        self.assertIsNone(self.call("GET result"))
        self.assertEqual((self.state("q:1"), self.call("JOB.QUEUES")), ("reserved", [b"q"]))
        self.assertEqual(len(self.jobs.leases), 1)
        self.assertEqual(self.ack(taken), 1)

    def test_what_the_disk_refuses_did_not_happen(self):
        self.put()
        taken = self.take()
        self.put("q DELAY 1000")
        for words in ("JOB.PUT q 0 x", "JOB.PUT new 0 x GROUP g UNIQUE u AFTER 1 q:1", "JOB.RESERVE QUEUES 1 q",
                      "JOB.ACK %s %s" % tuple(taken), "JOB.NACK %s %s" % tuple(taken), "JOB.KICK q 9",
                      "JOB.CANCEL q:2", "JOB.PURGE q", "JOB.DROP q", "JOB.PAUSE q 5", "JOB.CONFIG q retries 1",
                      "JOB.BURY %s %s" % tuple(taken), "JOB.PRIORITY q:2 4", "JOB.DRAIN q 1"):
            if words.startswith("JOB.RESERVE"):
                self.put()
            self.log.error = DiskError("planted")
            self.refused(words)
            self.log.error = None
        self.assertEqual(len(self.jobs.leases), 1)
        self.assertEqual(self.ack(taken), 1)


class TimeToRunTest(JobTest):
    def test_none_at_all_is_refused(self):
        self.assertIn("TTR must be from 1", self.refused("JOB.PUT q 0 x TTR 0"))
        self.assertIn("TTR must be from 1", self.refused("JOB.CONFIG q ttr 0"))
        self.assertEqual(self.call("JOB.QUEUES"), [])


class ReceiptTest(JobTest):
    def test_a_stale_receipt_is_refused(self):
        job = self.put("q RETRIES 9")
        first = self.take()
        self.call(["JOB.NACK"] + first + ["DELAY", "0"])
        for words in ("JOB.ACK", "JOB.NACK", "JOB.TOUCH", "JOB.BURY"):
            self.assertTrue(self.refused([words] + first).startswith("STALE "), words)
        second = self.take(client=1)
        self.assertEqual(second, [job, "2"])
        self.assertIn("receipt 1 (of 2", self.refused(["JOB.ACK"] + first))
        self.assertTrue(self.refused(["JOB.PROGRESS"] + first + ["0.5", "x"]).startswith("STALE "))
        self.assertEqual(self.ack(second), 1)
        self.assertIn("STALE job q:1 is finished", self.refused(["JOB.ACK"] + second))

    def test_an_ack_that_comes_too_late_is_not_taken_for_the_new_delivery(self):
        self.put("q TTR 100")
        slow = self.take()
        self.pass_ms(100)
        quick = self.take(client=1)
        self.assertTrue(self.refused(["JOB.ACK"] + slow).startswith("STALE "))
        self.assertEqual(self.ack(quick), 1)

    def test_ids_that_there_never_were(self):
        self.put()
        for job in ("q:2", "none:1", "q", "q:", ":1", "q:x", "q:01", "q:" + "9" * 30, ""):
            for words in (["JOB.ACK", job, "1"], ["JOB.NACK", job, "1"], ["JOB.WAIT", job, "0"], ["JOB.CANCEL", job],
                          ["JOB.PUT", "q", "0", "x", "AFTER", "1", job]):
                self.assertTrue(self.refused(words).startswith("NOJOB "), words)

    def test_another_connection_of_the_worker_may_ack(self):
        self.put()
        self.assertEqual(self.ack(self.take(client=1), client=2), 1)
        self.assertEqual(len(self.jobs.leases), 0)

    def test_touch_gives_the_ttr_anew_or_another_time(self):
        self.put("q TTR 100")
        taken = self.take()
        for _ in range(5):
            self.pass_ms(80)
            self.assertEqual(self.call(["JOB.TOUCH"] + taken), [100, 0])
        self.assertEqual(self.call(["JOB.TOUCH"] + taken + ["500"]), [500, 0])
        self.pass_ms(499)
        self.assertEqual(self.call(["JOB.TOUCH"] + taken + ["10"]), [10, 0])
        self.pass_ms(10)
        self.assertEqual(self.state("q:1"), "ready")

    def test_undo_gives_back_what_one_request_was_handed(self):
        self.put("q PRIORITY 3"), self.put("q PRIORITY 4"), self.put("q PRIORITY 5")
        before = self.info("q:1")
        self.reserve(more=("REQUEST", "7"))
        self.reserve(more=("REQUEST", "8"))
        self.assertEqual(self.call("JOB.UNDO 7", client=1), 0)
        self.assertEqual(self.call("JOB.UNDO 7"), 1)
        self.assertEqual(self.call("JOB.UNDO 7"), 0)
        after = self.info("q:1")
        self.assertEqual(after.pop("receipt"), before.pop("receipt") + 1)
        self.assertEqual(after, before)
        self.assertEqual(self.reserve(count=5), [("q:1", 2), ("q:3", 1)])

    def test_what_a_link_was_handed_belongs_to_whoever_inherits_it(self):
        self.put()
        taken = self.take(client=1)
        self.jobs.adopt(self.contexts[1].session, self.contexts[2].session)
        self.end(1)
        self.assertEqual(self.state("q:1"), "reserved")
        self.end(2)
        self.assertEqual(self.state("q:1"), "ready")
        self.assertTrue(self.refused(["JOB.ACK"] + taken).startswith("STALE "))


class FailureTest(JobTest):
    def test_a_nack_does_not_block_the_head(self):
        bad, good = self.put(), self.put()
        self.call(["JOB.NACK"] + self.take())
        self.assertEqual(self.state(bad), "delayed")
        self.assertEqual(self.take()[0], good)

    def test_a_nack_without_delay_goes_behind_the_others_or_in_front(self):
        first, second, third = self.put(), self.put(), self.put()
        self.pass_ms(1)
        self.assertEqual(self.call(["JOB.NACK"] + self.take() + ["DELAY", "0"]), b"ready")
        taken = self.take()
        self.assertEqual(taken[0], second)
        self.assertEqual(self.call(["JOB.NACK"] + taken + ["FRONT", "NOCOUNT"]), b"ready")
        self.assertEqual([job for job, _ in self.reserve(count=3)], [second, third, first])

    def test_backoff_grows_and_has_jitter_within_its_bounds(self):
        job = self.put("q RETRIES 20 BACKOFF 1000 16000 2000 500")
        delays = []
        for _ in range(12):
            self.assertEqual(self.call(["JOB.NACK"] + self.take()), b"delayed")
            delays.append(self.info(job)["at_ms"] - self.space.wall_ms())
            self.pass_ms(delays[-1])
        for attempt, delay in enumerate(delays):
            whole = min(1000 * 2 ** attempt, 16000)
            self.assertTrue(whole / 2 <= delay <= whole, (attempt, delay))
        self.assertGreater(len(set(delays[4:])), 4)

    def test_backoff_without_jitter_is_exact(self):
        job = self.put("q RETRIES 9 BACKOFF 100 900 3000 0")
        for expected in (100, 300, 900, 900):
            self.call(["JOB.NACK"] + self.take())
            self.assertEqual(self.info(job)["at_ms"] - self.space.wall_ms(), expected)
            self.pass_ms(expected)

    def test_when_its_attempts_are_used_up_it_is_dead_with_what_is_known(self):
        job = self.put("q RETRIES 2 BACKOFF 0 0 1000 0", "poison")
        for attempt in (1, 2, 3):
            (one, receipt), = self.reserve(more=("WORKER", "w%d" % attempt))
            self.pass_ms(5)
            state = self.call(["JOB.NACK", one, str(receipt), "ERROR", "Traceback:\n  x\nValueError: %d" % attempt])
            self.assertEqual(state, b"dead" if attempt == 3 else b"ready")
        told = self.info(job)
        self.assertEqual((told["state"], told["attempts"], told["error"]),
                         (b"dead", 3, b"Traceback:\n  x\nValueError: 3"))
        self.assertEqual([(one[0], one[2], one[3]) for one in told["failures"]],
                         [(n, b"w%d" % n, b"ValueError: %d" % n) for n in (1, 2, 3)])
        self.assertEqual([one[1] for one in told["failures"]], sorted(one[1] for one in told["failures"]))
        self.assertEqual(self.reserve(), [])
        self.assertEqual([one["id"] for one in self.call("JOB.PEEK q dead 10")], [b"q:1"])

    def test_redrive_gives_all_attempts_again(self):
        job = self.put("q RETRIES 0")
        self.assertEqual(self.call(["JOB.NACK"] + self.take() + ["ERROR", "e"]), b"dead")
        self.assertEqual((self.call("JOB.REDRIVE q 0"), self.call("JOB.REDRIVE q -1")), (0, 1))
        self.assertEqual((self.state(job), self.info(job)["attempts"]), ("ready", 0))
        self.assertEqual(self.info(job)["failures"][0][3], b"e")
        self.assertEqual(self.call(["JOB.NACK"] + self.take()), b"dead")

    def test_bury(self):
        job = self.put()
        self.assertEqual(self.call(["JOB.BURY"] + self.take() + ["ERROR", "no such user"]), 1)
        self.assertEqual((self.state(job), self.info(job)["error"]), ("dead", b"no such user"))

    def test_a_shutdown_that_hands_back_costs_no_attempt(self):
        job = self.put("q RETRIES 0")
        for _ in range(5):
            self.assertEqual(self.call(["JOB.NACK"] + self.take() + ["NOCOUNT"]), b"ready")
        self.assertEqual((self.info(job)["attempts"], self.info(job).get("failures")), (0, None))

    def test_long_errors_are_cut_and_only_some_are_kept(self):
        job = self.put("q RETRIES 99 BACKOFF 0 0 1000 0")
        for attempt in range(15):
            self.call(["JOB.NACK"] + self.take() + ["ERROR", "y" * 100000 + "%d" % attempt])
        told = self.info(job)
        self.assertEqual((len(told["error"]), told["error"][-2:], len(told["failures"])), (65536, b"14", 10))
        self.assertEqual(self.space.structures.by_key[b"\xff\x00db\x11q"].size_bytes < 80000, True)


class WordsTest(JobTest):
    def test_hostile_words_change_nothing(self):
        self.put("q KEEP 1000"), self.put()
        taken = self.take()
        huge = "9" * 40
        for words in (
                ["JOB.PUT", "", "0", "x"], ["JOB.PUT", "q" * 600, "0", "x"], "JOB.PUT q 12 x", "JOB.PUT q -1 x",
                "JOB.PUT q 0 x DELAY", "JOB.PUT q 0 x DELAY -1", "JOB.PUT q 0 x DELAY " + huge, "JOB.PUT q 0 x WHAT 1",
                "JOB.PUT q 0 x PRIORITY 9999999999", "JOB.PUT q 0 x BACKOFF 1 2 3", "JOB.PUT q 0 x BACKOFF 1 2 3 1001",
                "JOB.PUT q 0 x UNTIL started", "JOB.PUT q 0 x UNIQUE k UNTIL 0", "JOB.PUT q 0 x REPLACE",
                "JOB.PUT q 0 x FIFO", "JOB.PUT q 0 x AFTER 2 q:1", "JOB.PUT q 0 x AFTER 9999 q:1",
                "JOB.PUT q 0 x OVERFLOW what", "JOB.PUT q 0 x ETA -5", "JOB.PUT q 0 x RETRIES " + huge,
                ["JOB.PUT", "q", "0", "x", "GROUP", ""], ["JOB.PUT", "q", "0", "x", "KIND", "k" * 600],
                ["JOB.PUT", "q", "0", "x", "UNIQUE", "u" * 600], "JOB.PUT q 0 x TTL x", "JOB.PUT q 0 x WAIT -2",
                "JOB.PUTMANY q 0 x y", "JOB.PUTMANY q 2 0 x", "JOB.PUTMANY q 99999 0 x", "JOB.PUTMANY q x 0 x",
                "JOB.RESERVE WAIT 0 COUNT 1", "JOB.RESERVE QUEUES 0 q", "JOB.RESERVE QUEUES 2 q",
                "JOB.RESERVE QUEUES 1 q x", "JOB.RESERVE COUNT -1 QUEUES 1 q", "JOB.RESERVE ORDER fair QUEUES 1 q",
                "JOB.RESERVE ORDER weighted QUEUES 1 q", "JOB.RESERVE ORDER weighted QUEUES 1 q -4",
                "JOB.RESERVE QUEUES 1 q REQUEST x", "JOB.RESERVE QUEUES 1 q QUEUES 1 q",
                "JOB.RESERVE WAIT x QUEUES 1 q",
                ["JOB.RESERVE", "QUEUES", "1", ""], ["JOB.RESERVE", "WORKER", "w" * 5000, "QUEUES", "1", "q"],
                ["JOB.ACK", "q:1", "x"], ["JOB.ACK", "q:1", huge], ["JOB.ACK"] + taken + ["1"],
                ["JOB.ACK"] + taken + ["99", "v"], ["JOB.NACK"] + taken + ["DELAY", "x"],
                ["JOB.NACK"] + taken + ["WHAT"], ["JOB.NACK"] + taken + ["ERROR"], ["JOB.TOUCH"] + taken + ["-1"],
                ["JOB.TOUCH"] + taken + ["1", "2"], ["JOB.BURY"] + taken + ["FRONT"], "JOB.UNDO x", "JOB.UNDO -1",
                ["JOB.PROGRESS"] + taken + ["2", "x"], ["JOB.PROGRESS"] + taken + ["nan", "x"],
                ["JOB.PROGRESS"] + taken + ["0.5", "t" * 5000], "JOB.PRIORITY q:2 x", "JOB.PRIORITY q:9 1",
                "JOB.KICK q -1", "JOB.REDRIVE q -2", "JOB.PURGE q reserved", "JOB.PURGE q what", "JOB.PAUSE q -2",
                "JOB.DRAIN q 2", "JOB.CONFIG q what 1", "JOB.CONFIG q retries", "JOB.CONFIG q retries -1",
                "JOB.CONFIG q overflow x", "JOB.CONFIG q retries 1 ttr x", "JOB.PEEK q what 1", "JOB.PEEK q ready -1",
                "JOB.PEEK q ready 1 2 3", "JOB.WAIT q:1 x", "JOB.WAIT q:1 -2", ["JOB.STATS", ""]):
            text = self.refused(words)
            self.assertTrue(text.startswith(("ERR ", "NOJOB ", "SYNTAX ")), (words, text))
        self.assertEqual(self.ack(taken), 1)

    def test_names_and_payloads_may_be_any_bytes(self):
        name, payload = bytes(range(1, 256)), bytes(range(256)) * 10
        job, _ = self.call([b"JOB.PUT", name, b"0", payload])
        self.assertEqual(job, name + b":1")
        self.assertEqual(self.call([b"JOB.RESERVE", b"QUEUES", b"1", name])[0][3], payload)
        self.assertEqual(self.call([b"JOB.ACK", job, b"1"]), 1)
        self.assertEqual(self.call("JOB.QUEUES"), [name])

    def test_each_database_has_queues_of_its_own(self):
        self.put()
        self.call("SELECT 3", client=1)
        self.assertEqual((self.reserve(client=1), self.call("JOB.QUEUES", 1)), ([], []))
        one = self.put("q", client=1)
        self.assertEqual(one, "q:1")
        two, _ = self.call("JOB.PUT r 0 y AFTER 1 q:1", client=1)
        self.assertEqual(self.call("JOB.INFO r:1", 1)["needs"], [b"q:1"])
        taken = self.take(client=1)
        self.assertEqual(taken, ["q:1", "1"])
        self.assertEqual(self.ack(taken, 1), 1)
        self.assertEqual(self.call("JOB.INFO r:1", 1)["state"], b"ready")
        self.assertEqual((self.call("JOB.QUEUES"), self.call("JOB.QUEUES", 1)), ([b"q"], [b"q", b"r"]))
        self.assertEqual(self.call("KEYS *"), [])

    def test_flushall_keeps_queues(self):
        self.put()
        self.call("FLUSHALL")
        self.assertEqual(self.reserve(), [("q:1", 1)])
        self.assertEqual(STATES[3], b"reserved")
