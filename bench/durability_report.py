"""What a durability run found, as text for people, and the table of it for docs/performance.md."""

from . import durability, report

OURS, REDIS = durability.OURS, durability.REDIS
SET_COST_S_MAX, BATCHED_COST_S_MAX = 2e-6, 0.5e-6  # of the log, at os and everysec
LONGEST_S_MAX = 0.005
RATE_BYTES_MIN = 200e6
RESTART_KEYS, RESTART_S_MAX = 1000 * 1000, 3.0


def write(result):
    """The whole report; `python3 -m bench compare` reads its measurements."""
    sections = [_head(result), _section("Goals", _goals_table(result)),
                _section("The log: what a level costs beyond none", _log_table(result)),
                _section("Checkpoints", _checkpoint_table(result)),
                _section("Single sets by one writer, each timed by itself", _latency_table(result)),
                _section("Restart, until a client has read a key", _restart_table(result)),
                _section(report.MEASUREMENTS, _measurements_table(result)),
                _section("What is suspicious", "\n".join(suspicions(result))),
                _section("For docs/performance.md", markdown(result))]
    return "\n\n".join(sections) + "\n"


def _head(result):
    lines = ["nosqgrid benchmark: durability, %s" % result.plan.name, ""]
    lines += ["%-12s %s" % item for item in result.machine]
    lines.append("%-12s %s" % ("disk", result.disk))
    lines.append("%-12s a loop that only looks at the clock was stopped for up to %s in a second"
                 % ("hiccup", human_seconds(result.hiccup_s)))
    lines.append("%-12s everysec with a log, but where a level is named; median (fastest - slowest)" % "method")
    lines.append("%-12s %.0f s" % ("took", result.seconds))
    lines += ["%-12s %s: %s" % ("skipped", what, reason) for what, reason in result.skipped.items()]
    return "\n".join(lines)


def _section(title, text):
    return "%s\n%s\n%s" % (title, "-" * len(title), text)


def human_seconds(seconds):
    """Seconds in the unit that a person would choose.

    >>> [human_seconds(value) for value in (3.24e-6, 0.000123, 0.0046, 0.0461, 2.345, 61.2)]
    ['3.2 us', '123 us', '4.6 ms', '46 ms', '2.3 s', '61 s']
    """
    for unit, size in (("us", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        value = seconds / size
        if value < 999.5 or unit == "s":
            return ("%.1f %s" if value < 9.95 else "%.0f %s") % (value, unit)
    return ""


def cost(result, case, level, which="median"):
    """Seconds that a level adds to none, or None where one was not measured; `which` repeat of each is taken."""
    ours, none = (result.timings.get((case, "%s %s" % (OURS, name))) for name in (level, "none"))
    return None if ours is None or none is None else getattr(ours, which) - getattr(none, which)


def rate(result, dataset, what):
    """Bytes a second of a checkpoint, its process's start included, or None."""
    case = durability.checkpoint_case(dataset, what)
    found = result.timings.get((case, OURS))
    return None if found is None else result.file_bytes[case] / found.median


# -- goals ---------------------------------------------------------------------------------------------------------


def goals(result):
    """[report.Goal]; `measured` is None where it was not measured."""
    found = []
    for case, limit in ((durability.SET, SET_COST_S_MAX), (durability.SET_MANY, BATCHED_COST_S_MAX)):
        for level in ("os", "everysec"):
            measured = cost(result, case, level)
            drowned = measured is not None and measured < -limit  # a log makes nothing faster
            found.append(_at_most("the log at %s, %s" % (level, case), limit, None if drowned else measured))
    for dataset, samples in result.busy.items():
        found.append(_at_most("longest set during a checkpoint, " + durability.name_of(dataset), LONGEST_S_MAX,
                              samples[-1]))
    for dataset in result.busy:
        measured = rate(result, dataset, durability.ALONE)
        found.append(report.Goal("checkpoint, " + durability.name_of(dataset), "200 MB/s",
                                 "%.0f MB/s" % (measured / 1e6), measured >= RATE_BYTES_MIN,
                                 max(0.0, 1 - measured / RATE_BYTES_MIN)))
    for kind in (durability.CHECKPOINT, durability.LOG):
        case = durability.restart_case(RESTART_KEYS, kind)
        measured = result.timings.get((case, OURS))
        found.append(_at_most(case, RESTART_S_MAX, None if measured is None else measured.median))
    return found


def _at_most(what, limit, measured):
    met = measured is not None and measured <= limit
    return report.Goal(what, "at most " + human_seconds(limit), None if measured is None else human_seconds(measured),
                       met, None if measured is None or met else measured / limit - 1)


def _verdict(goal):
    if goal.measured is None:
        return "not measured"
    return "met" if goal.met else "missed by %.0f %%" % (100 * goal.missed_by)


def _goals_table(result):
    return report.format_table(("goal", "verdict", "wanted", "measured"), [
        (goal.what, _verdict(goal), goal.wanted, goal.measured or "-") for goal in goals(result)])


# -- tables --------------------------------------------------------------------------------------------------------


def _log_table(result):
    rows = []
    for case in (durability.SET, durability.SET_MANY):
        for level in durability.LEVELS:
            measured = result.timings[case, "%s %s" % (OURS, level)]
            rows.append((case, level, report.microseconds(measured.median), report.microseconds(measured.low),
                         report.microseconds(measured.high),
                         "-" if level == "none" else "%+.2f" % (1e6 * cost(result, case, level)),
                         "-" if level == "none" else "%+.2f" % (1e6 * cost(result, case, level, "low"))))
    return report.format_table(("case", "level", "us a key", "fastest", "slowest", "beyond none", "of the fastest"),
                               rows)


def _checkpoint_table(result):
    rows = []
    for dataset in result.busy:
        for what in (durability.ALONE, durability.WRITTEN):
            case = durability.checkpoint_case(dataset, what)
            measured = result.timings[case, OURS]
            rows.append((durability.name_of(dataset), what, "%.2f" % measured.median, "%.2f" % measured.low,
                         "%.2f" % measured.high, "%.0f" % (result.file_bytes[case] / 1e6),
                         "%.0f" % (rate(result, dataset, what) / 1e6)))
    return report.format_table(("data", "grid", "seconds", "fastest", "slowest", "MB", "MB/s"), rows)


def _latency_table(result):
    rows = []
    for dataset in result.busy:
        for what, samples in (("without", result.still), ("during", result.busy)):
            found = durability.distribution(samples[dataset])
            rows.append((durability.name_of(dataset), what, "{:,}".format(found.count))
                        + tuple(human_seconds(seconds) for seconds in found[1:]))
    return report.format_table(("data", "checkpoint", "sets", "p50", "p99", "p99.9", "longest"), rows)


def _restart_table(result):
    rows = []
    for (case, who), measured in result.timings.items():
        if case.startswith("restart, "):
            rows.append((case[len("restart, "):], who, "%.2f" % measured.median, "%.2f" % measured.low,
                         "%.2f" % measured.high))
    return report.format_table(("from", "who", "seconds", "fastest", "slowest"), rows)


def _measurements_table(result):
    rows = [(case, who) + tuple(report.microseconds(seconds) for seconds in measured)
            for (case, who), measured in result.timings.items()]
    return report.format_table(("case", "rival", "us/op", "fastest", "slowest"), rows)


def suspicions(result):
    """What a reader should doubt, one sentence a line."""
    lines = []
    load = dict(result.machine).get("load before", "unknown")
    if load == "unknown" or float(load) > 0.3:
        lines.append("other work: the load was %s when the run began." % load)
    if result.hiccup_s > LONGEST_S_MAX / 2:
        lines.append("other work: a loop that calls nothing was stopped for %s; no longest set means much here."
                     % human_seconds(result.hiccup_s))
    for case, limit in ((durability.SET, SET_COST_S_MAX), (durability.SET_MANY, BATCHED_COST_S_MAX)):
        for level in ("os", "everysec"):
            measured = cost(result, case, level)
            if measured is not None and measured < -limit:
                lines.append("the price of the log drowns in noise: %s at %s was %s faster than at none."
                             % (case, level, human_seconds(-measured)))
    for (case, who), measured in result.timings.items():
        spread = (measured.high - measured.low) / measured.median
        if spread > 2 * report.NOISY:
            lines.append("noisy: %s, %s: by %.0f %%." % (case, who, 100 * spread))
    lines.append("Writer, coordinator and checkpointer want a processor each; with fewer they wait for one another.")
    lines.append("The longest set is one of all, and is whatever the machine did in that moment.")
    lines.append("Files that are read at a start come from the system's cache, ours and redis-server's.")
    return lines


# -- the table for the docs ----------------------------------------------------------------------------------------


def markdown(result):
    """The table that stands in docs/performance.md."""
    rows = [("what", "goal", "measured"), ("---", "---", "---")]
    for case, limit in ((durability.SET, SET_COST_S_MAX), (durability.SET_MANY, BATCHED_COST_S_MAX)):
        none = result.timings[case, OURS + " none"].median
        costs = ["%+.2f us at %s" % (1e6 * cost(result, case, level), level) for level in ("os", "everysec")]
        always = result.timings[case, OURS + " always"].median
        rows.append(("the log's price, %s" % case, "+%.1f us" % (1e6 * limit),
                     "%s, on %s at none; %s at always" % (
                         ", ".join(costs), human_seconds(none), human_seconds(always))))
    for dataset in result.busy:
        rates = [rate(result, dataset, what) / 1e6 for what in (durability.ALONE, durability.WRITTEN)]
        seconds = result.timings[durability.checkpoint_case(dataset, durability.ALONE), OURS].median
        rows.append(("checkpoint of " + durability.name_of(dataset), "200 MB/s",
                     "%.1f s, %.0f MB/s; %.0f MB/s beside a writer at full speed" % ((seconds,) + tuple(rates))))
    for dataset in result.busy:
        still, busy = (durability.distribution(samples[dataset]) for samples in (result.still, result.busy))
        rows.append(("longest set during it, %s" % durability.name_of(dataset), "5 ms",
                     "%s (p99.9 %s); without one %s (p99.9 %s)" % tuple(
                         human_seconds(value) for value in (busy.max, busy.p999, still.max, still.p999))))
    for (case, who), measured in result.timings.items():
        if who == OURS and case.startswith("restart, "):
            rows.append((case, "3 s" if "{:,} keys".format(RESTART_KEYS) in case else "",
                         "%.2f s%s" % (measured.median, _redis_too(result, case))))
    return "\n".join("| %s |" % " | ".join(row) for row in rows)


def _redis_too(result, case):
    theirs = result.timings.get((case, REDIS))
    return "" if theirs is None else "; redis-server %.2f s" % theirs.median
