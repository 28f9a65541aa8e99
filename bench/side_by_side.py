"""What the benches of locks and queues share: who is measured in turns, what was found, and how it is written down."""

import collections
import contextlib
import shutil
import tempfile
import time

from . import contest, machine, report, rivals, timing

Plan = collections.namedtuple("Plan", "name loop_s repeats contend_s jobs")
FULL = Plan("full", 0.3, timing.REPEATS, 4.0, 5000)
QUICK = Plan("quick", 0.05, 3, 0.5, 300)


class Result(object):
    """What a run found."""

    def __init__(self, what, plan):
        self.what, self.plan = what, plan
        self.machine = machine.describe()
        self.timings = collections.OrderedDict()  # (case, name) -> Timing in seconds an operation
        self.skipped = collections.OrderedDict()  # name -> why
        self.sections = []  # (title, text) of what is no Timing
        self.seconds = 0.0

    def ratio(self, case, name):
        """How many times as long `name` takes as we do, or None where one was not measured."""
        ours, theirs = self.timings.get((case, report.OURS)), self.timings.get((case, name))
        return None if ours is None or theirs is None else theirs.median / ours.median


@contextlib.contextmanager
def opened(result, classes):
    """The rivals that run, each with its `address`; those that do not stand in result.skipped."""
    begun, folder = time.monotonic(), tempfile.mkdtemp(prefix="nosqgrid-bench-", dir=contest.tmpfs_folder())
    try:
        with rivals.Opened(classes, folder) as found:
            result.skipped.update(found.skipped)
            for rival in found.rivals:
                rival.address = found.addresses[rival.name]
            yield found.rivals
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result.seconds = time.monotonic() - begun


def measure(result, case, prepared):
    """Time [(name, prepare)] in turns, as timing does, and keep that as a case."""
    found = timing.time_alternating(prepared, result.plan.loop_s, result.plan.repeats)
    for name, _ in prepared:
        result.timings[case, name] = found[name]


def write(result):
    """The whole report as text; `python3 -m bench compare` reads its measurements."""
    lines = ["nosqgrid benchmark: %s, %s" % (result.what, result.plan.name), ""]
    lines += ["%-12s %s" % fact for fact in result.machine]
    lines.append("%-12s all in turns in one run, 1 warm-up and %d rounds; median (fastest - slowest)"
                 % ("method", result.plan.repeats))
    lines.append("%-12s %.0f s" % ("took", result.seconds))
    lines += ["%-12s %s: %s" % ("skipped", name, reason) for name, reason in result.skipped.items()]
    sections = ["\n".join(lines)]
    rows = []
    for (case, name), measured in result.timings.items():
        ratio = result.ratio(case, name)
        rows.append((case, name, "-" if ratio is None else report.times(ratio), report.per_second(measured)))
    found = [("Times as long as nosqgrid", report.format_table(("case", "rival", "ratio", "a second"), rows))]
    found += result.sections
    rows = [(case, name) + tuple(report.microseconds(seconds) for seconds in measured)
            for (case, name), measured in result.timings.items()]
    found.append((report.MEASUREMENTS, report.format_table(("case", "rival", "us/op", "fastest", "slowest"), rows)))
    sections += ["%s\n%s\n%s" % (title, "-" * len(title), text) for title, text in found]
    return "\n\n".join(sections) + "\n"


class Ours(rivals.Nosqgrid):
    """A grid, with what a subclass takes of it."""

    name = report.OURS

    def start(self, folder):
        self.folder = folder
        return super().start(folder)


class OnRedis(rivals.Redis):
    """Something over a redis-server of its own; `client` is redis-py's."""

    module = "redis"

    def start(self, folder):
        rivals.import_rival(self.module)
        self.folder = folder
        return super().start(folder)

    def connect(self, address):
        super().connect(address)
        self.client = self._client
        self.path = address
