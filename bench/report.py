"""Results as text: one table format, written for people, read again by `compare`.

A table is a line of column names and lines of cells, cells two or more spaces apart, ended by an empty line.  The first
table, under "Measurements", has a row for each case and rival; `compare` reads that one.
"""

import collections
import re

from . import readers

SLOWER_MAX = 0.10  # compare: a median this much above the old one fails
NOISY = 0.25  # (slowest - fastest) / median of the repeats, from which a row is called noisy

OURS, ARENA = "nosqgrid", "nosqgrid, no near cache"
MEASUREMENTS = "Measurements"

Goal = collections.namedtuple("Goal", "what wanted measured met missed_by")


def format_table(columns, rows):
    """Text of a table; the first two columns stand left, the others right.

    >>> print(format_table(("what", "of", "us"), [("get", "dict", "0.07")]))
    what  of      us
    get   dict  0.07
    """
    lines = [columns] + list(rows)
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    texts = []
    for line in lines:
        cells = [cell.ljust(width) if index < 2 else cell.rjust(width)
                 for index, (cell, width) in enumerate(zip(line, widths))]
        texts.append("  ".join(cells).rstrip())
    return "\n".join(texts)


def microseconds(seconds):
    """Seconds as microseconds with three significant digits.

    >>> microseconds(1.23456e-6), microseconds(0.000123456), microseconds(0.0456)
    ('1.23', '123', '45600')
    """
    value = seconds * 1e6
    if value >= 1000:
        return "%d" % int(round(value, -2))
    return "%.0f" % value if value >= 100 else "%.1f" % value if value >= 10 else "%.2f" % value if value >= 1 \
        else "%.3f" % value


def times(ratio):
    """A ratio in words.

    >>> times(2.0), times(0.25), times(1.01)
    ('2.0x slower', '4.0x faster', 'same')
    """
    if ratio is None:
        return "-"
    if 0.95 < ratio < 1.05:
        return "same"
    return "%sx slower" % short(ratio) if ratio > 1 else "%sx faster" % short(1.0 / ratio)


def short(number):
    """A ratio with two or three digits."""
    return "%.0f" % number if number >= 20 else "%.1f" % number if number >= 1.95 else "%.2f" % number


def per_second(timing):
    """Operations a second of a Timing in seconds an operation."""
    return "{:,}".format(int(round(1.0 / timing.median)))


# -- writing -------------------------------------------------------------------------------------------------------


def write(result):
    """The whole report of a rivals run."""
    sections = [_head(result), _section("Goals (design section 9)", _goals_table(result)),
                _section(MEASUREMENTS, _timings_table(result))]
    if result.latencies:
        sections.append(_section("Latency, each operation timed by itself, clock included", _latency_table(result)))
    if result.readers:
        sections.append(_section("Readers in processes of their own, 100 B, uniform", _readers_table(result)))
    if result.memory:
        sections.append(_section("Memory beyond key and value, 16 B keys, 100 B values", _memory_table(result)))
    sections.append(_section("What is suspicious", "\n".join(suspicions(result))))
    return "\n\n".join(sections) + "\n"


def _head(result):
    lines = ["nosqgrid benchmark: rivals, %s" % result.plan.name, ""]
    lines += ["%-12s %s" % item for item in result.machine]
    lines.append("%-12s 1 warm-up and %d repeats of about %.2f s each, all rivals in turns; median (fastest - slowest)"
                 % ("method", result.plan.repeats, result.plan.loop_s))
    lines.append("%-12s 16 B str keys, bytes values; 100,000 records of 100 B, 20,000 of 1 KiB, 400 of 64 KiB"
                 % "data")
    lines.append("%-12s none, for every rival: no log, no sync, files on tmpfs" % "durability")
    lines.append("%-12s %.0f s" % ("took", result.seconds))
    lines += ["%-12s %s: %s" % ("skipped", what, reason) for what, reason in result.skipped.items()]
    return "\n".join(lines)


def _section(title, text):
    return "%s\n%s\n%s" % (title, "-" * len(title), text)


def _timings_table(result):
    rows = []
    for (case, rival), timing in result.timings.items():
        ratio = result.ratio(case, rival, OURS)
        rows.append((case, rival, microseconds(timing.median), microseconds(timing.low), microseconds(timing.high),
                     per_second(timing), "1" if rival == OURS else times(ratio)))
    return format_table(("case", "rival", "us/op", "fastest", "slowest", "op/s", "against nosqgrid"), rows)


def _latency_table(result):
    rows = [(case, rival, microseconds(latency.p50), microseconds(latency.p99), microseconds(latency.max))
            for (case, rival), latency in result.latencies.items()]
    return format_table(("case", "rival", "p50 us", "p99 us", "max us"), rows)


def _readers_table(result):
    rows = []
    for name, rounds in result.readers.items():
        alone = readers.find(rounds, 1, 0)
        for entry in rounds:
            calm = readers.find(rounds, entry.readers, 0)
            rows.append((
                name, "%d reader%s, %s" % (entry.readers, "s" if entry.readers > 1 else "",
                                           "busy writer" if entry.writers else "no writer"),
                "{:,.0f}".format(entry.gets_per_s.median),
                "%.2fx" % (entry.gets_per_s.median / alone.gets_per_s.median),
                microseconds(entry.get_cpu_s.median),
                "%+.0f %%" % (100.0 * (entry.get_cpu_s.median / calm.get_cpu_s.median - 1)) if entry.writers else "-",
                "{:,.0f}".format(entry.sets_per_s.median) if entry.writers else "-"))
    return format_table(("rival", "processes", "gets/s", "one reader", "cpu us/get", "writer costs", "sets/s"), rows)


def _memory_table(result):
    rows = [("nosqgrid", "{:,}".format(cost.records), "%.1f" % cost.overhead_bytes,
             "-" if cost.coordinator_bytes is None else "%.1f" % cost.coordinator_bytes) for cost in result.memory]
    return format_table(("rival", "records", "B/record", "coordinator's own B/record"), rows)


# -- goals ---------------------------------------------------------------------------------------------------------


def goals(result):
    """[Goal] of design section 9, as far as they concern what is here; `measured` is None where a side is missing."""
    get, hot, set_ = "get 100 B uniform", "get 100 B hot", "set 100 B uniform"
    ratio = result.ratio
    found = [
        _at_most("get, no near cache, against py-lmdb", 1.5, ratio(get, ARENA, "py-lmdb")),
        _at_least("get, no near cache, faster than redis-py", 40, ratio(get, "redis-py", ARENA)),
        _at_least("get, near-cache hit, faster than py-lmdb", 3, ratio(hot, "py-lmdb", OURS)),
        _at_least("set until visible, faster than redis-py", 10, ratio(set_, "redis-py", OURS)),
        _at_least("set until visible, faster than Manager", 5, ratio(set_, "Manager().dict()", OURS)),
        _at_least("set_many(1000), faster than redis-py pipeline(100)", 4,
                  _across(result, ("set_many(100) 100 B", "redis-py"), ("set_many(1000) 100 B", OURS))),
        _at_least("set_many(100), faster than redis-py pipeline(100)", 4,
                  ratio("set_many(100) 100 B", "redis-py", OURS)),
    ]
    rounds = result.readers.get(ARENA)
    if rounds:
        most = max(entry.readers for entry in rounds)
        found.append(_at_least("%d readers, times one reader" % most, 0.9 * most, readers.scaling(rounds, most)))
        for count in sorted({entry.readers for entry in rounds}):
            found.append(_at_most("busy writer's cost to %d reader%s, cpu a get" % (count, "s" if count > 1 else ""),
                                  1.10, 1 + readers.writer_cost(rounds, count)))
    if result.memory:
        found.append(_at_most("bytes beyond key and value, worst size", 64,
                              max(cost.overhead_bytes for cost in result.memory), unit=" B"))
    return found


def _across(result, one, other):
    if one not in result.timings or other not in result.timings:
        return None
    return result.timings[one].median / result.timings[other].median


def _at_most(what, limit, measured, unit="x"):
    met = measured is not None and measured <= limit
    missed = None if measured is None or met else measured / limit - 1
    return Goal(what, "at most %s%s" % (_plain(limit), unit), _measured(measured, unit), met, missed)


def _at_least(what, limit, measured, unit="x"):
    met = measured is not None and measured >= limit
    missed = None if measured is None or met else 1 - measured / limit
    return Goal(what, "at least %s%s" % (_plain(limit), unit), _measured(measured, unit), met, missed)


def _plain(number):
    return ("%.2f" % number).rstrip("0").rstrip(".")


def _measured(number, unit):
    return None if number is None else short(number) + unit


def _goals_table(result):
    rows = []
    for goal in goals(result):
        if goal.measured is None:
            verdict = "not measured"
        else:
            verdict = "met" if goal.met else "missed by %.0f %%" % (100 * goal.missed_by)
        rows.append((goal.what, verdict, goal.wanted, goal.measured or "-"))
    return format_table(("goal", "verdict", "wanted", "measured"), rows)


def suspicions(result):
    """What a reader of the report should doubt, one sentence a line."""
    lines = []
    spreads = sorted(((timing.high - timing.low) / timing.median, case, rival)
                     for (case, rival), timing in result.timings.items())
    noisy = [entry for entry in spreads if entry[0] > NOISY]
    if noisy:
        spread, case, rival = noisy[-1]
        lines.append("noisy: in %d of %d rows the repeats differ by over %.0f %% of the median; %s, %s: by %.0f %%."
                     % (len(noisy), len(spreads), 100 * NOISY, case, rival, 100 * spread))
    for spread, case, rival in noisy:
        if rival.startswith(OURS):
            lines.append("noisy: %s, %s: by %.0f %%." % (case, rival, 100 * spread))
    load = dict(result.machine).get("load before", "0")
    if re.match(r"[0-9.]+$", load) and float(load) > 0.3:
        lines.append("other work: the load was %s when the run began." % load)
    for name, rounds in result.readers.items():
        low = min(entry.gets_per_s.low / entry.gets_per_s.median for entry in rounds)
        if low < 1 - NOISY:
            lines.append("noisy: readers of %s: one round reached only %.0f %% of the median." % (name, 100 * low))
    lines.append("Latency includes the clock, and the maximum includes whatever else the machine did.")
    lines.append("UltraDict reads a private copy of everything and lets one process write; dict is not shared at all.")
    lines.append("Readers, the writer and a server share the cores: gets/s fall for that alone; cpu us/get do not, but "
                 "rise where two cores are threads of one.")
    return lines


# -- reading and comparing -----------------------------------------------------------------------------------------


def read_measurements(text):
    """{(case, rival): (median, fastest, slowest)} in microseconds, from a result file's text.

    Raises: ValueError where there is no table of measurements, or a row is not one.
    """
    found = collections.OrderedDict()
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip() == MEASUREMENTS:
            break
    else:
        raise ValueError("no section called %r" % MEASUREMENTS)
    next(lines, None), next(lines, None)  # the rule and the column names
    for line in lines:
        if not line.strip():
            break
        cells = re.split(r"\s{2,}", line.strip())
        if len(cells) < 5:
            raise ValueError("not a row of measurements: %r" % line)
        found[cells[0], cells[1]] = tuple(float(cell) for cell in cells[2:5])
    return found


def compare(old, new):
    """Compare two {(case, rival): ...}: the text to print, and how many rows of nosqgrid are more than 10 % slower."""
    rows, slower, drift = [], 0, []
    for key in old:
        if key not in new:
            continue
        change = new[key][0] / old[key][0] - 1
        ours = key[1].startswith(OURS)
        if not ours:
            drift.append(change)
        elif change > SLOWER_MAX:
            slower += 1
        verdict = "" if not ours else "SLOWER" if change > SLOWER_MAX else "faster" if change < -SLOWER_MAX else "ok"
        rows.append(key + ("%.3f" % old[key][0], "%.3f" % new[key][0], "%+.1f %%" % (100 * change), verdict))
    lines = [format_table(("case", "rival", "old us/op", "new us/op", "change", "verdict"), rows), ""]
    missing = [key for key in old if key not in new and key[1].startswith(OURS)]
    lines += ["missing in the new one: %s, %s" % key for key in missing]
    if drift:
        drift.sort()
        lines.append("the rivals, which did not change, took %+.1f %% (median): so much is the machine"
                     % (100 * drift[len(drift) // 2]))
    lines.append("%d of nosqgrid's rows more than %.0f %% slower" % (slower, 100 * SLOWER_MAX))
    return "\n".join(lines), slower + len(missing)
