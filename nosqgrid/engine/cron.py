"""Cron rules: when is the next time that `*/5 8-18 * * mon-fri` means?

    minute hour day month weekday       each: * or n or n-m or either with /step, several with commas
    @hourly @daily @midnight @weekly @monthly @yearly @annually

Months and weekdays have their English names of three letters too; Sunday is 0 and 7.  Where both day and weekday are
restricted (neither begins with *) a day matches by either, as in every cron.

Times are those of a clock on the wall, which some days jumps.  What that means is decided by the hour field:

 1. Where it begins with * the rule is about a rhythm: it holds for each minute that really passes.  A minute that the
    clock shows twice counts twice, one that it leaves out does not count.
 2. Else it is about times of the day: each counts once.  Of one that the clock shows twice the first counts; all that
    it leaves out in one jump count together, once, at the moment behind the jump.

There is no clock in here: `local(seconds)` gives the fields of a time as time.localtime does.
"""

import bisect
import datetime

from ..errors import UsageError

_MINUTE_S = 60
_DAY_S = 86400
_LOOK_BACK_S = 26 * 3600  # no clock is turned back by more than a day
_YEARS_MAX = 401  # until the calendar repeats itself
_TEXT_MAX = 256
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_WEEKDAYS = "sun mon tue wed thu fri sat".split()
_NAMED = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
          "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}
_FIELDS = (("minute", 0, 59, ()), ("hour", 0, 23, ()), ("day", 1, 31, ()), ("month", 1, 12, _MONTHS),
           ("weekday", 0, 7, _WEEKDAYS))
_DAYS_MAX = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Cron(object):
    """A rule; `text` is how it was written.  Raises UsageError, which names the field that is wrong.

    >>> sorted(Cron("*/20 8-10/2 * * *").minutes), Cron("0 8-10/2 * * *").hours
    ([0, 20, 40], [8, 10])
    """

    __slots__ = ("text", "minutes", "hours", "days", "months", "weekdays", "_either", "rhythm")

    def __init__(self, text):
        self.text = text
        words = _NAMED.get(text.strip().lower(), text).split()
        if len(words) != len(_FIELDS) or len(text) > _TEXT_MAX:
            raise UsageError("%.80r is no cron rule: it has five fields, minute hour day month weekday, such as "
                             "'*/5 8-18 * * mon-fri', or is one of %s" % (text, " ".join(sorted(_NAMED))))
        found = [_values(text, word, *field) for word, field in zip(words, _FIELDS)]
        self.minutes, self.hours, days, months, weekdays = map(sorted, found)
        self.days, self.months = frozenset(days), frozenset(months)
        self.weekdays = frozenset(day % 7 for day in weekdays)
        self.rhythm = words[1].startswith("*")
        self._either = not words[2].startswith("*") and not words[4].startswith("*")
        if not self._either and all(_DAYS_MAX[month - 1] < days[0] for month in months):
            raise UsageError("the cron rule %r never holds: no such month has a day %d" % (text, days[0]))

    def next_after(self, seconds, local):
        """The first time behind `seconds` (since 1970, whole ones) at which the rule holds; None where there is none.

        Cost: some 20 us for a time of the next days; a search through four centuries, some ms, for what never comes.
        """
        offset = _offset(seconds, local)
        face = seconds + offset  # what the clock shows, as seconds of a clock that never jumps
        if not self.rhythm:
            face = max(face, self._shown_before(seconds, offset, local) - 1)
        while True:
            found = self._next_face(face)
            if found is None:
                return None
            if _offset(found - offset, local) == offset:
                return _first_time(found, offset, seconds, local)
            jump = _jump(seconds, found - offset, offset, local)
            later = _offset(jump, local)
            if not self.rhythm and found < jump + later:
                return jump  # it was left out
            face = jump + later - 1
            if not self.rhythm and later < offset:
                face = jump + offset - 1  # what comes again was there
            seconds, offset = jump, later

    def _shown_before(self, seconds, offset, local):
        """Up to where the clock shows for the second time what it had shown; 0 where it was not turned back lately."""
        earlier = _offset(seconds - _LOOK_BACK_S, local)
        if earlier <= offset:
            return 0
        return _jump(seconds - _LOOK_BACK_S, seconds, earlier, local) + earlier

    def _next_face(self, face):
        """The first time behind `face` that matches, on a clock that never jumps."""
        minute = face // _MINUTE_S + 1
        day, minute = divmod(minute, _DAY_S // _MINUTE_S)
        date = datetime.date.fromordinal(_EPOCH_DAY + day)
        if self._matches(date):
            hour, minute = divmod(minute, 60)
            found = self._next_in_day(hour, minute)
            if found is not None:
                return day * _DAY_S + found * _MINUTE_S
        date = self._next_day(date)
        if date is None:
            return None
        return (date.toordinal() - _EPOCH_DAY) * _DAY_S + (self.hours[0] * 60 + self.minutes[0]) * _MINUTE_S

    def _next_in_day(self, hour, minute):
        """The first matching minute of the day from this time on, or None."""
        index = bisect.bisect_left(self.hours, hour)
        if index < len(self.hours) and self.hours[index] == hour:
            position = bisect.bisect_left(self.minutes, minute)
            if position < len(self.minutes):
                return hour * 60 + self.minutes[position]
            index += 1
        return self.hours[index] * 60 + self.minutes[0] if index < len(self.hours) else None

    def _next_day(self, date):
        """The first matching day behind a date, or None."""
        year, month, first = date.year, date.month, date.day + 1
        for _ in range(_YEARS_MAX * 12):
            if month in self.months:
                for number in range(first, _DAYS_MAX[month - 1] + 1):
                    if (month, number) == (2, 29) and (year % 4 or not year % 100 and year % 400):
                        break
                    found = datetime.date(year, month, number)
                    if self._matches(found):
                        return found
            first = 1
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            if year > datetime.MAXYEAR:
                break
        return None

    def _matches(self, date):
        if date.month not in self.months:
            return False
        by_day, by_weekday = date.day in self.days, date.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self._either else by_day and by_weekday


def _values(text, word, name, low, high, names):
    """The set of numbers that a field stands for."""
    found = set()
    for part in word.lower().split(","):
        span, slash, step = part.partition("/")
        every = _number(text, name, step, 1, high, ()) if slash else 1
        first, dash, last = span.partition("-")
        if span == "*":
            begin, end = low, high
        else:
            begin = _number(text, name, first, low, high, names)
            end = _number(text, name, last, low, high, names) if dash else high if slash else begin
            if names is _WEEKDAYS and dash and end == 0 < begin:
                end = 7  # sat-sun
        if begin > end:
            raise UsageError("cron rule %r: in the %s field %s goes from %d down to %d"
                             % (text, name, part, begin, end))
        found.update(range(begin, end + 1, every))
    return found


def _number(text, name, word, low, high, names):
    if word in names:
        return names.index(word) + (low if names is _MONTHS else 0)
    if not 0 < len(word) <= 4 or word.strip("0123456789"):
        raise UsageError("cron rule %r: %r in the %s field is no number from %d to %d%s"
                         % (text, word, name, low, high, " and none of " + " ".join(names) if names else ""))
    number = int(word)
    if not low <= number <= high:
        raise UsageError("cron rule %r: %d in the %s field; it takes %d to %d" % (text, number, name, low, high))
    return number


def _offset(seconds, local):
    """How far the clock on the wall is ahead of `seconds`."""
    fields = local(seconds)
    day = datetime.date(fields[0], fields[1], fields[2]).toordinal() - _EPOCH_DAY
    return day * _DAY_S + fields[3] * 3600 + fields[4] * 60 + min(fields[5], 59) - seconds


def _first_time(face, offset, seconds, local):
    """When the clock shows `face` for the first time behind `seconds`, where it does with this offset too."""
    found = face - offset
    earlier = _offset(found - _LOOK_BACK_S, local)
    if earlier > offset and face - earlier > seconds and _offset(face - earlier, local) == earlier:
        return face - earlier
    return found


def _jump(low, high, offset, local):
    """The first second in (low, high] that has another offset, where `low` has this one and `high` another."""
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, local) == offset:
            low = middle
        else:
            high = middle
    return high
