"""What a hit-ratio run found, as text for people, and the table of it for docs/performance.md."""

from . import hit_ratio, report
from .hit_ratio import ARC, LFU, LFU_4, LFU_8, LRU, OPT, POLICIES

BEHIND_MAX = 1.0  # points behind the best of LRU and ARC
PUBLISHED_OFF_MAX = 0.01


def write(result):
    """The whole report."""
    sections = [_head(result), report_section("Goals", _goals_table(result)),
                report_section("Hit ratio in percent, all keys of one size", _ratios_table(result)),
                report_section("Sizes from 16 B to 100 KB, Zipf 0.9 over 20,000 keys", _mixed_table(result)),
                report_section("Costs, 100,000 keys" if not result.quick else "Costs, 10,000 keys",
                               _costs_table(result)),
                report_section("What is suspicious", "\n".join(suspicions(result))),
                report_section("For docs/performance.md", markdown(result))]
    return "\n\n".join(sections) + "\n"


def _head(result):
    lines = ["nosqgrid benchmark: hit ratio, %s" % ("quick" if result.quick else "full"), ""]
    lines += ["%-12s %s" % item for item in result.machine]
    lines.append("%-12s a key that is not there is added at once; %s and %s: only some of the hits are noted"
                 % ("method", LFU_4, LFU_8))
    lines.append("%-12s %.0f s" % ("took", result.seconds))
    lines += ["%-12s %s" % (trace.name, "%s requests; %s" % ("{:,}".format(len(trace.keys)), trace.what))
              for trace in result.traces]
    if result.absent:
        lines.append("%-12s %s" % ("skipped", result.absent))
    return "\n".join(lines)


def report_section(title, text):
    """A title, underlined, and its text."""
    return "%s\n%s\n%s" % (title, "-" * len(title), text)


# -- goals ---------------------------------------------------------------------------------------------------------


def behind(ratios, name=LFU):
    """How many points a policy is behind the better of LRU and ARC; negative where it is ahead.

    >>> behind({"lfu": 50.0, "lru": 49.0, "ARC": 50.5})
    0.5
    """
    return max(ratios[LRU], ratios[ARC]) - ratios[name]


def goals(result):
    """[report.Goal]."""
    found = []
    for trace in result.traces:
        rows = [(capacity, ratios) for (name, capacity), ratios in result.ratios.items() if name == trace.name]
        capacity, worst = max(rows, key=lambda row: behind(row[1]))
        points = behind(worst)
        found.append(report.Goal("lfu on %s" % trace.name, "%.0f behind LRU and ARC at most" % BEHIND_MAX,
                                 "%s at %d" % (_signed(-points), capacity), points <= BEHIND_MAX, points - BEHIND_MAX))
    for case, percent in hit_ratio.PUBLISHED_LRU.items():
        if case in result.ratios and not result.quick:
            measured = result.ratios[case][LRU]
            off = abs(measured - percent)
            found.append(report.Goal("lru on %s, %d, as published" % case, "%.2f %%" % percent, "%.2f %%" % measured,
                                     off < PUBLISHED_OFF_MAX, off))
    return found


def _signed(points):
    return "%+.1f" % (points + 0.0 if abs(points) >= 0.05 else 0.0)


def _goals_table(result):
    return report.format_table(("goal", "verdict", "wanted", "measured"), [
        (goal.what, "met" if goal.met else "missed by %.1f" % goal.missed_by, goal.wanted, goal.measured)
        for goal in goals(result)])


# -- tables --------------------------------------------------------------------------------------------------------


def _ratios_table(result):
    rows = [(name, str(capacity)) + tuple("%.2f" % ratios[policy] for policy in POLICIES) + (_signed(-behind(ratios)),)
            for (name, capacity), ratios in result.ratios.items()]
    return report.format_table(("trace", "keys fit") + POLICIES + ("lfu ahead",), rows)


def _mixed_table(result):
    return report.format_table(("fits", "policy", "% of requests", "% of bytes"), [
        ("%.0f %%" % (100 * part), name, "%.2f" % requests, "%.2f" % asked)
        for part, name, requests, asked in result.mixed])


def _costs_table(result):
    return report.format_table(("policy", "bytes a key", "touched, ns", "next_victim, removed and added, ns"), [
        (name, "%.1f" % cost.bytes_per_key, "%.0f" % cost.touched, "%.0f" % cost.added_evicted)
        for name, cost in result.costs.items()])


def suspicions(result):
    """What a reader should doubt, one sentence a line."""
    lines = []
    for (name, capacity), ratios in result.ratios.items():
        best = max((ratio, policy) for policy, ratio in ratios.items() if policy != OPT)
        if best[0] > ratios[OPT] + 1e-9:
            lines.append("%s is better than the optimum on %s at %d: one of them is wrong."
                         % (best[1], name, capacity))
    if dict(result.machine).get("load before", "unknown") == "unknown" or \
            float(dict(result.machine)["load before"]) > 0.3:
        lines.append("Other work ran beside it: the costs are too high, the hit ratios are not touched.")
    lines.append("The public traces are short: a cache of 1,000 keys sees some of them for six turns of its content.")
    lines.append("For W-TinyLFU only pictures were found published, no figures to hold these against.")
    return lines


# -- the table for the docs ----------------------------------------------------------------------------------------


def markdown(result):
    """The table that stands in docs/performance.md: for each trace the capacity in the middle, and the worst case."""
    rows = [("trace", "keys fit", OPT, LFU, LFU_4, LRU, ARC, "lfu ahead of the better one, worst of all sizes"),
            ("---",) + ("---:",) * 7]
    for trace in result.traces:
        cases = [(capacity, ratios) for (name, capacity), ratios in result.ratios.items() if name == trace.name]
        capacity, ratios = cases[len(cases) // 2]
        rows.append((trace.name, "{:,}".format(capacity)) + tuple("%.1f" % ratios[name] for name in (
            OPT, LFU, LFU_4, LRU, ARC)) + (_signed(-max(behind(each) for _, each in cases)),))
    return "\n".join("| %s |" % " | ".join(row) for row in rows)
