"""`python3 -m bench redis`: nosqgrid as a Redis server beside redis-server, measured by redis-benchmark.

redis-benchmark is Redis' own load generator, a single C process with 50 connections; here it talks to both over Unix
sockets.  Each setting is measured in rounds: one run against one server, one against the other, both empty before, so
that a machine that slows down slows both.  What is compared is the median of the rounds.

    -P 16          so many commands are sent before the first answer is read
    -r 100000      random keys, elements and members out of so many, instead of one key for all

Neither keeps anything on disk.  The load generator takes a processor for itself where there is one, and where there is
none both servers lose alike; a figure in commands a second says as much about it as about the server.
"""

import collections
import contextlib
import csv
import os
import shutil
import socket
import subprocess
import tempfile
import time

from nosqgrid.client import launcher

from . import contest, durability, machine, report, rivals, timing

TESTS = "ping_mbulk set get incr lpush rpop sadd hset zadd mset".split()
CONNECTIONS = 50
OURS, REDIS = report.OURS, "redis-server"
MEMORY = "1g"
TIMEOUT_S = 600.0

Setting = collections.namedtuple("Setting", "pipeline random_keys")  # the latter 0 for one key
SETTINGS = (Setting(1, 0), Setting(16, 0), Setting(1, 100000), Setting(16, 100000))
Plan = collections.namedtuple("Plan", "name requests pipelined_requests rounds")
FULL = Plan("full", 100000, 400000, 5)
QUICK = Plan("quick", 5000, 20000, 3)


class Result(object):
    """What a run found."""

    def __init__(self, plan):
        self.plan = plan
        self.machine = machine.describe()
        self.timings = collections.OrderedDict()  # (case, OURS or REDIS) -> Timing in seconds a command
        self.skipped = collections.OrderedDict()  # what -> why
        self.seconds = 0.0

    def rate_ratio(self, case):
        """Our commands a second over those of redis-server, or None where one was not measured."""
        ours, theirs = self.timings.get((case, OURS)), self.timings.get((case, REDIS))
        return None if ours is None or theirs is None else theirs.median / ours.median

    def cases(self):
        return list(collections.OrderedDict((case, None) for case, _ in self.timings))


def run(plan, progress=lambda text: None, settings=SETTINGS):
    """Measure; a Result.  Without redis-benchmark nothing is, without redis-server only ours, and the result says so.

    Raises Absent where redis-benchmark fails, StartError where nosqgrid cannot be started.
    """
    begun, result = time.monotonic(), Result(plan)
    program = shutil.which("redis-benchmark")
    if program is None:
        result.skipped["everything"] = "redis-benchmark (redis-tools) is not installed"
        return result
    folder = tempfile.mkdtemp(prefix="nosqgrid-bench-", dir=contest.tmpfs_folder())
    try:
        with contextlib.ExitStack() as stack:
            servers = []
            try:
                stack.enter_context(durability.RedisServer(folder, []))
                servers.append((REDIS, os.path.join(folder, "s")))
            except rivals.Absent as absent:
                result.skipped[REDIS] = str(absent)
            launched = stack.enter_context(launcher.start(memory=MEMORY, extra_args=("--policy", "refuse")))
            servers.append((OURS, launched.address))
            for setting in settings:
                _measure(result, program, servers, setting, progress)
    finally:
        shutil.rmtree(folder)
    result.seconds = time.monotonic() - begun
    return result


def _measure(result, program, servers, setting, progress):
    """All tests at one setting, the servers in turns; the first round warms up."""
    samples = collections.OrderedDict()
    for number in range(result.plan.rounds + 1):
        for name, address in servers:
            progress("%s, round %d, %s" % (named("all", setting), number, name))
            flush(address)
            rates = parse(_run(command_line(program, address, setting, result.plan)))
            if number:
                for test, rate in rates.items():
                    samples.setdefault((test, name), []).append(1.0 / rate)
    for test in collections.OrderedDict((test, None) for test, _ in samples):
        for name, _ in servers:
            result.timings[named(test, setting), name] = timing.summary(samples[test, name])


def command_line(program, address, setting, plan):
    """The words that run redis-benchmark once.

    >>> " ".join(command_line("b", "/s", Setting(16, 100), QUICK))
    'b -s /s -c 50 -n 20000 -P 16 -t ping_mbulk,set,get,incr,lpush,rpop,sadd,hset,zadd,mset --csv -r 100'
    """
    count = plan.requests if setting.pipeline == 1 else plan.pipelined_requests
    words = [program, "-s", address, "-c", str(CONNECTIONS), "-n", str(count), "-P", str(setting.pipeline),
             "-t", ",".join(TESTS), "--csv"]
    return words + (["-r", str(setting.random_keys)] if setting.random_keys else [])


def named(test, setting):
    """How a test stands in the tables.

    >>> named("GET", Setting(16, 100000)), named("MSET (10 keys)", Setting(1, 0))
    ('GET -P 16 -r 100000', 'MSET (10 keys)')
    """
    return test + (" -P %d" % setting.pipeline if setting.pipeline > 1 else "") + (
        " -r %d" % setting.random_keys if setting.random_keys else "")


def _run(words):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise rivals.Absent("redis-benchmark cannot be run (%s)" % error) from error
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise rivals.Absent("redis-benchmark ended with %d: %s" % (done.returncode, text.strip()[-300:]))
    return text


def parse(text):
    """{test: commands a second} of what redis-benchmark --csv printed; ValueError where there is no figure in it.

    >>> parse('"test","rps","p50_latency_ms"\\n"GET","250.00","0.1"\\n')
    OrderedDict([('GET', 250.0)])
    """
    found = collections.OrderedDict()
    for line in text.splitlines():
        cells = next(csv.reader([line]), []) if line.startswith('"') else []
        if len(cells) < 2 or cells[0] == "test":
            continue
        rate = float(cells[1])
        if not 0 < rate < float("inf"):
            raise ValueError("no rate of commands: %r" % line)
        found[cells[0]] = rate
    if not found:
        raise ValueError("redis-benchmark printed no figures: %r" % text[:200])
    return found


def flush(address):
    """Let a server forget all keys."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(TIMEOUT_S)
        sock.connect(address)
        sock.sendall(durability.resp((b"FLUSHALL",)))
        if sock.recv(64) != b"+OK\r\n":
            raise rivals.Absent("FLUSHALL was refused")


# -- the report ----------------------------------------------------------------------------------------------------


def write(result):
    """The whole report as text; `python3 -m bench compare` reads its measurements."""
    plan = result.plan
    lines = ["nosqgrid benchmark: redis, %s" % plan.name, ""]
    lines += ["%-12s %s" % fact for fact in result.machine]
    lines.append("%-12s redis-benchmark over Unix sockets, %d connections, %d commands a test (%d with -P); 1 warm-up "
                 "and %d rounds," % ("method", CONNECTIONS, plan.requests, plan.pipelined_requests, plan.rounds))
    lines.append("%-12s the servers in turns; median (fastest - slowest)" % "")
    lines.append("%-12s %.0f s" % ("took", result.seconds))
    lines += ["%-12s %s: %s" % ("skipped", what, reason) for what, reason in result.skipped.items()]
    sections = ["\n".join(lines)]
    if result.timings:
        sections += [_titled("Commands a second", _rates_table(result)),
                     _titled(report.MEASUREMENTS, _measurements_table(result)),
                     _titled("What is suspicious", "\n".join(suspicions(result))),
                     _titled("For docs/performance.md", markdown(result))]
    return "\n\n".join(sections) + "\n"


def _titled(title, text):
    return "%s\n%s\n%s" % (title, "-" * len(title), text)


def _rates_table(result):
    rows = []
    for case in result.cases():
        ratio = result.rate_ratio(case)
        rates = [result.timings.get((case, name)) for name in (OURS, REDIS)]
        rows.append((case, "-" if ratio is None else "%.2f" % ratio)
                    + tuple("-" if rate is None else report.per_second(rate) for rate in rates))
    return report.format_table(("test", "of redis-server's", OURS, REDIS), rows)


def _measurements_table(result):
    rows = [(case, name) + tuple(report.microseconds(seconds) for seconds in measured)
            for (case, name), measured in result.timings.items()]
    return report.format_table(("case", "rival", "us/op", "fastest", "slowest"), rows)


def suspicions(result):
    """What a reader should doubt, one sentence a line."""
    lines = []
    load = dict(result.machine).get("load before", "unknown")
    if load == "unknown" or float(load) > 0.3:
        lines.append("other work: the load was %s when the run began." % load)
    spreads = sorted((((measured.high - measured.low) / measured.median, case, name)
                      for (case, name), measured in result.timings.items()), reverse=True)
    noisy = [row for row in spreads if row[0] > 2 * report.NOISY]
    if noisy:
        lines.append("noisy: %d of %d rows; the worst, %s of %s, by %.0f %%."
                     % (len(noisy), len(spreads), noisy[0][1], noisy[0][2], 100 * noisy[0][0]))
    lines.append("The load generator is one process: where it is slower than a server, it is what was measured.")
    return lines


def markdown(result):
    """The table for docs/performance.md: our share of redis-server's commands a second, and ours, at each setting."""
    tests = [case for case in result.cases() if case == case.split(" -")[0]]
    rows = ["| | %s |" % " | ".join(named("", setting).strip() or "one at a time" for setting in SETTINGS),
            "|---" * (len(SETTINGS) + 1) + "|"]
    for test in tests:
        cells = []
        for setting in SETTINGS:
            case = named(test, setting)
            ratio, ours = result.rate_ratio(case), result.timings.get((case, OURS))
            cells.append("-" if ours is None else report.per_second(ours) + (
                "" if ratio is None else ", %.2f of redis-server" % ratio))
        rows.append("| %s | %s |" % (test, " | ".join(cells)))
    return "\n".join(rows)
