"""Cron rules against a reference that looks at every minute, on clocks that jump."""

import calendar
import random
import time
import unittest

from nosqgrid.engine.cron import Cron
from nosqgrid.errors import UsageError
from tests.support.tiers import slow

HOUR_S, DAY_S = 3600, 86400
START = calendar.timegm((2026, 3, 27, 0, 0, 0))
SPRING = calendar.timegm((2026, 3, 29, 1, 0, 0))
AUTUMN = calendar.timegm((2026, 10, 25, 1, 0, 0))


def clock(*changes):
    """local() of a clock: (from when on, seconds that it is ahead) ..., the first for what lies before."""
    def local(seconds):
        offset = changes[0][1]
        for since, ahead in changes:
            if seconds >= since:
                offset = ahead
        return time.gmtime(seconds + offset)
    return local


UTC = clock((0, 0))
BERLIN = clock((0, HOUR_S), (SPRING, 2 * HOUR_S), (AUTUMN, HOUR_S), (SPRING + 364 * DAY_S, 2 * HOUR_S))
LORD_HOWE = clock((0, 11 * HOUR_S), (START + DAY_S // 2, 10 * HOUR_S + 1800))  # half an hour
AZORES = clock((0, -HOUR_S), (SPRING, 0), (AUTUMN, -HOUR_S))  # at midnight
APIA = clock((0, -10 * HOUR_S), (START + DAY_S + 10 * HOUR_S, 14 * HOUR_S))  # left out a whole day


def field_matches(word, value, low, high):
    """What a field of numbers says of a value, read in the plainest way."""
    for part in word.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        begin = low if first == "*" else int(first)
        end = high if first == "*" or step and not dash else int(last) if dash else begin
        if value in range(begin, end + 1)[::int(step or 1)]:
            return True
    return False


def matches(rule, fields):
    """Whether a rule of numbers holds at a time, given as time.struct_time."""
    minute, hour, day, month, weekday = rule.split()
    sunday = (fields.tm_wday + 1) % 7
    by_day = field_matches(day, fields.tm_mday, 1, 31)
    by_weekday = field_matches(weekday, sunday, 0, 7) or sunday == 0 and field_matches(weekday, 7, 0, 7)
    either = day[0] != "*" and weekday[0] != "*"
    return (field_matches(minute, fields.tm_min, 0, 59) and field_matches(hour, fields.tm_hour, 0, 23)
            and field_matches(month, fields.tm_mon, 1, 12)
            and (by_day or by_weekday if either else by_day and by_weekday))


def every_time(rule, local, begin, end):
    """The times in [begin, end), whole minutes, at which a rule holds: minute by minute, by the words of the module."""
    found, shown = [], set()
    for seconds in range(begin - 2 * DAY_S, end, 60):
        face, before = calendar.timegm(local(seconds)), calendar.timegm(local(seconds - 60))
        faces = [face] if rule.split()[1][0] == "*" else range(before + 60, face + 60, 60) or [face]
        new = [each for each in faces if rule.split()[1][0] == "*" or each not in shown]
        shown.update(faces)
        if seconds >= begin and any(matches(rule, time.gmtime(each)) for each in new):
            found.append(seconds)
    return found


def times_of(rule, local, begin, end):
    """The same by next_after()."""
    cron, found = Cron(rule), []
    seconds = begin - 1
    while True:
        seconds = cron.next_after(seconds, local)
        if seconds is None or seconds >= end:
            return found
        found.append(seconds)


def random_field(chance, low, high):
    """A field as people write them, and as they do not."""
    def one():
        first = chance.randint(low, high)
        last = chance.randint(first, high)
        step = chance.randint(1, high)
        return chance.choice(("*", "*/%d" % step, "%d" % first, "%d" % first, "%d-%d" % (first, last),
                              "%d-%d/%d" % (first, last, step), "%d/%d" % (first, max(1, high // 3))))
    return ",".join(one() for _ in range(chance.choice((1, 1, 1, 2, 3))))


class NextTests(unittest.TestCase):
    def check(self, rule, local, begin, days):
        expected = every_time(rule, local, begin, begin + days * DAY_S)
        self.assertEqual(times_of(rule, local, begin, begin + days * DAY_S), expected, rule)
        return expected

    @slow
    def test_random_rules_against_every_minute(self):
        chance, held = random.Random(6), 0
        for round_ in range(60):
            rule = " ".join((random_field(chance, 0, 59), random_field(chance, 0, 23),
                             chance.choice(("*", random_field(chance, 1, 31))),
                             chance.choice(("*", "*", random_field(chance, 1, 12))),
                             chance.choice(("*", random_field(chance, 0, 7)))))
            try:
                Cron(rule)
            except UsageError:
                continue
            local = chance.choice((UTC, BERLIN, LORD_HOWE, AZORES, APIA))
            begin = chance.choice((START, SPRING - DAY_S, AUTUMN - DAY_S)) + 60 * chance.randrange(1440)
            held += len(self.check(rule, local, begin, 3))
        self.assertGreater(held, 500)

    @slow
    def test_every_minute_around_each_jump(self):
        for local in (BERLIN, LORD_HOWE, AZORES, APIA):
            for begin in (START, SPRING - DAY_S, AUTUMN - DAY_S):
                for rule in ("*/7 1-3 * * *", "30 2 * * *", "0 0 * * *", "15,45 */2 * * *", "* 1 * * *", "0 12 * * 6"):
                    self.check(rule, local, begin, 3)

    def test_a_time_that_is_left_out_counts_once_at_the_moment_behind(self):
        self.assertEqual(times_of("*/10 2 * * *", BERLIN, SPRING - HOUR_S // 2, SPRING + HOUR_S), [SPRING])
        self.assertEqual(times_of("30 2,3 * * *", BERLIN, SPRING - 1, SPRING + HOUR_S), [SPRING, SPRING + 1800])
        self.assertEqual(times_of("*/30 * * * *", BERLIN, SPRING - 1800, SPRING + 3600),
                         [SPRING - 1800, SPRING, SPRING + 1800])

    def test_a_time_that_comes_twice_counts_once_unless_it_is_a_rhythm(self):
        first = AUTUMN - HOUR_S // 2
        self.assertEqual(times_of("30 2 * * *", BERLIN, AUTUMN - HOUR_S, AUTUMN + DAY_S), [first])
        self.assertEqual(times_of("30 * * * *", BERLIN, AUTUMN - HOUR_S, AUTUMN + HOUR_S), [first, first + HOUR_S])

    def test_half_a_year_ahead_over_two_jumps(self):
        winter, summer = START, SPRING + DAY_S
        self.assertEqual(Cron("30 2 25 10 *").next_after(winter, BERLIN), AUTUMN - HOUR_S // 2)
        self.assertEqual(Cron("30 2 28 3 *").next_after(summer, BERLIN), SPRING + 364 * DAY_S)

    def test_rare_days(self):
        def date(rule, *after):
            return time.gmtime(Cron(rule).next_after(calendar.timegm(after + (0, 0, 0)), UTC))[:3]
        self.assertEqual(date("0 0 29 2 *", 2026, 1, 1), (2028, 2, 29))
        self.assertEqual(date("0 0 29 2 *", 2096, 3, 1), (2104, 2, 29))
        self.assertEqual(date("0 0 29 2 */7", 2072, 3, 1), (2088, 2, 29))  # a Sunday: * in the field means both
        self.assertEqual(date("0 0 31 * *", 2026, 9, 1), (2026, 10, 31))
        self.assertEqual(date("0 0 31 2 1", 2026, 2, 4), (2026, 2, 9))  # either: the Monday

    def test_times_rise_and_are_behind(self):
        cron, seconds = Cron("*/5 * * * *"), START + 1
        for _ in range(50):
            found = cron.next_after(seconds, BERLIN)
            self.assertTrue(seconds < found <= seconds + 300)
            seconds = found


class TextTests(unittest.TestCase):
    def same(self, text, plain):
        for name in ("minutes", "hours", "days", "months", "weekdays", "rhythm"):
            self.assertEqual(getattr(Cron(text), name), getattr(Cron(plain), name), (text, name))

    def test_names_and_spans(self):
        self.same("0 0 * jan,Mar-MAY mon-fri", "0 0 * 1,3-5 1-5")
        self.same("0 0 * * sat-sun", "0 0 * * 6,0")
        self.same("0 0 * * 7", "0 0 * * 0")
        self.same("10/20 * * * *", "10-59/20 * * * *")

    def test_names_of_whole_rules(self):
        for name, plain in (("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"),
                            ("@weekly", "0 0 * * 0"), ("@Monthly", "0 0 1 * *"), ("@yearly", "0 0 1 1 *"),
                            ("@annually", "0 0 1 1 *")):
            self.same(name, plain)

    def test_what_is_no_rule_is_refused_with_its_field(self):
        for text, told in (("", "five fields"), ("* * * *", "five fields"), ("* * * * * *", "five fields"),
                           ("@reboot", "five fields"), ("60 * * * *", "minute"), ("* 24 * * *", "hour"),
                           ("* * 0 * *", "day"), ("* * * 13 *", "month"), ("* * * * 8", "weekday"),
                           ("*/0 * * * *", "minute"), ("5-1 * * * *", "minute"), ("* * * foo *", "month"),
                           ("-1 * * * *", "minute"), ("1, * * * *", "minute"), ("+1 * * * *", "minute"),
                           ("1_0 * * * *", "minute"), ("\u0661 * * * *", "minute"), ("* * L * *", "day"),
                           ("0 0 30 2 *", "never"), ("0 0 31 2,4 *", "never"), ("* " * 200, "five fields"),
                           ("0" * 300 + " * * * *", "five fields"), ("*/ * * * *", "minute"),
                           ("*-5 * * * *", "minute")):
            with self.subTest(text[:30]):
                with self.assertRaises(UsageError) as caught:
                    Cron(text)
                self.assertIn(told, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
