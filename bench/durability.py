"""`python3 -m bench durability`: what the log costs a write, a checkpoint those who write, and how long a start takes.

Everything lies on the disk that TMPDIR names, because that is what is measured.  Three questions:

log         a set that waits, and a batch, at each level of durability in turns; the price is the difference to none
checkpoint  one writer sets single keys as fast as it can, each set timed by itself, without a checkpoint and then with
            one under way: from the moment it is asked for until a quarter of a second after it stands, because removing
            what it replaces belongs to it
restart     from the start of the process until a client has read a key; from a checkpoint and from a log, beside
            redis-server, which does the same from its RDB file and from its append-only file
"""

import collections
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from . import machine, report, rivals, timing, workloads

LEVELS = ("none", "os", "everysec", "always")
MEMORY = "1g"
NO_CHECKPOINTS = ["--checkpoint-every", "0", "--checkpoint-log-size", "0"]  # but those that are asked for
BATCH = 1000
LOG_KEYS = 100 * 1000
AFTER_S = 0.25
HICCUP_S = 1.0
REDIS_TIMEOUT_S = 60.0
CHECKPOINT, LOG, SINGLE_LOG = "checkpoint", "log of batches", "log of single sets"
SET, SET_MANY = "set 100 B", "set_many(1000) 100 B"  # of the latter each key is counted
ALONE, WRITTEN = "alone", "while written to"
OURS, REDIS = report.OURS, "redis-server"
SMALL = workloads.Dataset("100 B", 100, 1000 * 1000)

# log_s: of one repeat; still_s: how long is written without a checkpoint before each one; restarts: [(keys, single)]
Plan = collections.namedtuple("Plan", "name log_s log_repeats datasets checkpoints still_s restarts restart_repeats")
FULL = Plan("full", 0.15, 11, (SMALL, workloads.Dataset("1 KB", 1000, 200 * 1000),
                             workloads.Dataset("10 KB", 10 * 1000, 20 * 1000)), 3, 1.5,
            ((10 * 1000, 10 * 1000), (100 * 1000, 100 * 1000), (1000 * 1000, 0)), 3)
QUICK = Plan("quick", 0.04, 5, (workloads.Dataset("100 B", 100, 100 * 1000), workloads.Dataset("10 KB", 10000, 3000)),
             1, 0.5, ((10 * 1000, 10 * 1000), (100 * 1000, 0)), 1)

Distribution = collections.namedtuple("Distribution", "count p50 p99 p999 max")  # seconds


class Result:
    """What a run found, as samples in seconds; `write` makes the text of it."""

    def __init__(self, plan):
        self.plan = plan
        self.machine = machine.describe()
        self.disk = ""
        self.timings = collections.OrderedDict()  # (case, who) -> Timing
        self.file_bytes = collections.OrderedDict()  # case -> bytes of the file, the median
        self.still = collections.OrderedDict()  # dataset -> all sets without a checkpoint, in order of their seconds
        self.busy = collections.OrderedDict()  # the same, with one under way
        self.hiccup_s = 0.0
        self.skipped = collections.OrderedDict()
        self.seconds = 0.0


def run(plan, progress):
    """Measure everything of a plan; processes and files that this makes are gone when it returns or raises."""
    begun = time.monotonic()
    result = Result(plan)
    result.hiccup_s = longest_hiccup()
    folder = tempfile.mkdtemp(prefix="nosqgrid-bench-")
    try:
        result.disk = describe_disk(folder)
        progress("the log")
        measure_log(result, folder)
        for dataset in plan.datasets:
            progress("checkpoints of %s" % name_of(dataset))
            measure_checkpoint(result, dataset, folder)
        for keys, single_keys in plan.restarts:
            progress("restart with {:,} keys".format(keys))
            measure_restart(result, keys, single_keys, folder)
    finally:
        shutil.rmtree(folder)
    result.seconds = time.monotonic() - begun
    return result


def longest_hiccup(seconds=HICCUP_S, clock=time.perf_counter):
    """The longest time for which a loop that only looks at the clock was stopped: no program can do better."""
    before, longest = clock(), 0.0
    end = before + seconds
    while before < end:
        now = clock()
        longest = max(longest, now - before)
        before = now
    return longest


def describe_disk(folder, mib=64):
    """Which file system, and how fast it takes and syncs 64 MiB in one piece: no checkpoint can be faster."""
    data = os.urandom(1 << 20)
    path = os.path.join(folder, "disk")
    begun = time.perf_counter()
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    taken = time.perf_counter() - begun
    os.unlink(path)
    return "%s; writes and syncs %d MiB at %.0f MB/s" % (_file_system(folder), mib, mib * (1 << 20) / taken / 1e6)


def _file_system(folder):
    """Type and device of the file system that a folder lies on, where the system tells."""
    found, longest = "unknown file system", 0
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as lines:
            for device, point, kind in (line.split()[:3] for line in lines):
                inside = os.path.realpath(folder).startswith(point.rstrip("/") + "/")
                if inside and len(point) >= longest:
                    found, longest = "%s on %s" % (kind, device), len(point)
    except OSError:
        return found
    return found


def name_of(dataset):
    """How a dataset stands in the tables.

    >>> name_of(SMALL)
    '1,000,000 keys of 100 B'
    """
    return "{:,} keys of {}".format(dataset.key_count, dataset.label)


# -- the grid ------------------------------------------------------------------------------------------------------


class Served:
    """A coordinator over a directory, with a grid attached; a context manager that ends both."""

    def __init__(self, directory, level="everysec"):
        try:
            import nosqgrid
            from nosqgrid.client import launcher
        except ImportError as error:
            raise rivals.Absent("cannot import it: %s" % error) from error
        self.launched = launcher.start(memory=MEMORY,
                                       extra_args=["--dir", directory, "--durability", level] + NO_CHECKPOINTS)
        try:
            self.grid = nosqgrid.attach(self.launched.address, near_cache=0)
        except BaseException:
            self.launched.stop()
            raise

    def kill(self):
        """End it as a crash would: no last checkpoint."""
        self.launched.process.kill()
        self.launched.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.grid.close()
        self.launched.stop()


def fill(grid, dataset):
    """Set every key, in batches."""
    pairs = workloads.pairs_of(dataset)
    for _ in range(0, dataset.key_count, BATCH):
        grid.set_many(dict(pair for _, pair in zip(range(BATCH), pairs)))


def _subfolder(folder, name):
    path = os.path.join(folder, name)
    os.mkdir(path, 0o700)
    return path


# -- the log -------------------------------------------------------------------------------------------------------


def measure_log(result, folder):
    """A waiting set, and a key of a batch, at every level, in turns."""
    value = workloads.make_value(100)
    sets, batches, served = [], [], []
    try:
        for level in LEVELS:
            served.append(Served(_subfolder(folder, level), level))
            grid = served[-1].grid
            sets.append(("%s %s" % (OURS, level), _prepare_sets(grid, value)))
            batches.append(("%s %s" % (OURS, level), _prepare_batches(grid, value)))
        for case, contenders, keys in ((SET, sets, 1), (SET_MANY, batches, BATCH)):
            found = timing.time_alternating(contenders, result.plan.log_s, result.plan.log_repeats)
            for who, measured in found.items():
                result.timings[case, who] = timing.Timing(*[seconds / keys for seconds in measured])
    finally:
        for each in served:
            with each:
                each.kill()


def _prepare_sets(grid, value):
    keys = workloads.uniform(LOG_KEYS)

    def prepare(count):
        mine = keys.take(count)
        return lambda: workloads.loop_set(grid.set, mine, value)

    return prepare


def _prepare_batches(grid, value):
    keys = workloads.shuffled(LOG_KEYS)

    def prepare(count):
        batches = [dict.fromkeys(keys.take(BATCH), value) for _ in range(min(count, LOG_KEYS // BATCH))]
        chosen = [batches[number % len(batches)] for number in range(count)]

        def body():
            for batch in chosen:
                grid.set_many(batch)

        return body

    return prepare


# -- checkpoints ---------------------------------------------------------------------------------------------------


class Asked:
    """A checkpoint that was asked for over a socket of its own, so that nothing waits for it here."""

    def __init__(self, address, clock=time.perf_counter):
        self.seconds = None  # from asking until it was answered
        self._clock = clock
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(address)
        self._begun = clock()
        self._sock.sendall(b"*1\r\n$19\r\nNOSQGRID.CHECKPOINT\r\n")
        self._sock.setblocking(False)

    def done(self):
        """Whether it stands, and has stood for AFTER_S; RuntimeError when it failed."""
        if self.seconds is None:
            try:
                reply = self._sock.recv(65536)
            except BlockingIOError:
                return False
            self.seconds = self._clock() - self._begun
            self._sock.close()
            if not reply or reply.startswith(b"-"):
                raise RuntimeError("no checkpoint: %s" % (reply.decode("utf-8", "replace").strip() or "no answer"))
        return self._clock() - self._begun - self.seconds >= AFTER_S


def measure_checkpoint(result, dataset, folder):
    """Checkpoints with nobody writing and with a writer at full speed, and what the writer sees."""
    value = workloads.make_value(dataset.value_size_bytes)
    keys = workloads.uniform(dataset.key_count)
    still, busy = [], []
    seconds, sizes = {ALONE: [], WRITTEN: []}, {ALONE: [], WRITTEN: []}
    with Served(_subfolder(folder, "checkpoint-" + dataset.label.replace(" ", ""))) as served:
        grid = served.grid
        fill(grid, dataset)
        for _ in range(result.plan.checkpoints):
            for what in (ALONE, WRITTEN):
                _settle(grid, keys, value)
                if what == WRITTEN:
                    end = time.perf_counter() + result.plan.still_s
                    still += sample_sets(grid.set, keys, value, lambda: time.perf_counter() > end)
                asked = Asked(served.launched.address)
                if what == WRITTEN:
                    busy += sample_sets(grid.set, keys, value, asked.done)
                while not asked.done():
                    time.sleep(0.005)
                seconds[what].append(asked.seconds)
                sizes[what].append(grid.stats()["checkpoint_bytes"])
        served.kill()
    for what in (ALONE, WRITTEN):
        case = checkpoint_case(dataset, what)
        result.timings[case, OURS] = timing.summary(seconds[what])
        result.file_bytes[case] = int(statistics.median(sizes[what]))
    result.still[dataset], result.busy[dataset] = sorted(still), sorted(busy)


def checkpoint_case(dataset, what):
    return "checkpoint, %s, %s" % (name_of(dataset), what)


def _settle(grid, keys, value):
    """Change something, so that there is a checkpoint to make, and let the disk finish with what came before."""
    grid.set(keys.take(1)[0], value)
    os.sync()
    time.sleep(0.2)


def sample_sets(set_, keys, value, done, clock=time.perf_counter):
    """Seconds of each set until done(), which is asked now and then."""
    samples = []
    while not done():
        for key in keys.take(50):
            begun = clock()
            set_(key, value)
            samples.append(clock() - begun)
    return samples


def one_in(ordered, count):
    """Of samples in ascending order, the one that one in `count` reaches or exceeds, by nearest rank.

    >>> one_in(list(range(1, 101)), 2), one_in(list(range(1, 101)), 100), one_in([7], 1000)
    (50, 99, 7)
    """
    return ordered[len(ordered) - int(len(ordered) / count) - 1]


def distribution(ordered):
    """The Distribution of samples in ascending order."""
    return Distribution(len(ordered), one_in(ordered, 2), one_in(ordered, 100), one_in(ordered, 1000), ordered[-1])


# -- restart -------------------------------------------------------------------------------------------------------


def measure_restart(result, key_count, single_keys, folder):
    """Starts from each kind of file, ours and redis-server's; the log of single sets has `single_keys`, if any."""
    dataset = workloads.Dataset("100 B", 100, key_count)
    repeats = result.plan.restart_repeats
    kinds = [CHECKPOINT, LOG] + ([SINGLE_LOG] if single_keys else [])
    for kind in kinds:
        path = _subfolder(folder, "restart-%d-%s" % (key_count, kind.replace(" ", "-")))
        with Served(path) as served:
            if kind == SINGLE_LOG:
                for key, value in workloads.pairs_of(dataset):
                    served.grid.set(key, value)
            else:
                fill(served.grid, dataset)
            if kind != CHECKPOINT:
                served.kill()
        samples = [_start_ours(path, dataset, kind != CHECKPOINT) for _ in range(repeats)]
        result.timings[restart_case(key_count, kind), OURS] = timing.summary(samples)
        shutil.rmtree(path)
    for kind, options in ((CHECKPOINT, ()), (SINGLE_LOG, AOF_OPTIONS)):
        path = _subfolder(folder, "redis-%d-%s" % (key_count, kind.replace(" ", "-")))
        try:
            samples = _start_redis(path, dataset, list(options), repeats)
        except rivals.Absent as absent:
            result.skipped[REDIS] = str(absent)
            return
        result.timings[restart_case(key_count, kind), REDIS] = timing.summary(samples)
        shutil.rmtree(path)


def restart_case(key_count, kind):
    return "restart, {:,} keys of 100 B, {}".format(key_count, kind)


def _start_ours(path, dataset, kill):
    os.sync()
    begun = time.perf_counter()
    with Served(path) as served:
        if served.grid.get(workloads.key_of(dataset.key_count - 1)) is None:
            raise RuntimeError("a key is missing after a restart")
        taken = time.perf_counter() - begun
        if len(served.grid) != dataset.key_count:
            raise RuntimeError("%d keys after a restart, not %d" % (len(served.grid), dataset.key_count))
        if kill:
            served.kill()
    return taken


AOF_OPTIONS = ("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")


class RedisServer:
    """redis-server over a directory, spoken to over a plain socket; a context manager that kills it."""

    def __init__(self, path, options):
        address = os.path.join(path, "s")
        try:
            self._process = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", address, "--unixsocketperm", "600", "--save", "",
                 "--dir", path, "--loglevel", "warning", "--daemonize", "no"] + options,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise rivals.Absent("redis-server cannot be run (%s)" % error) from error
        try:
            self._connect(address, time.monotonic() + REDIS_TIMEOUT_S)
        except BaseException:
            self._end()
            raise

    def _connect(self, address, deadline):
        """Until it answers PING with PONG, which it does not while it loads."""
        while time.monotonic() < deadline and self._process.poll() is None:
            self._sock = socket.socket(socket.AF_UNIX)
            self._sock.settimeout(REDIS_TIMEOUT_S)
            if self._sock.connect_ex(address) == 0 and self.ask(b"PING") == b"+PONG\r\n":
                return
            self._sock.close()
            time.sleep(0.002)
        raise rivals.Absent("redis-server does not answer")

    def ask(self, *words):
        """The reply, as it comes, to one command whose reply is a line."""
        self._sock.sendall(resp(words))
        return self._read_lines(1)

    def _read_lines(self, count):
        reply = b""
        while reply.count(b"\r\n") < count:
            data = self._sock.recv(65536)
            if not data:
                raise rivals.Absent("redis-server is gone")
            reply += data
        return reply

    def fill(self, dataset):
        """Set every key, in pipelines of BATCH."""
        pairs = workloads.pairs_of(dataset)
        for _ in range(0, dataset.key_count, BATCH):
            chunk = [resp((b"SET", key.encode(), value)) for _, (key, value) in zip(range(BATCH), pairs)]
            self._sock.sendall(b"".join(chunk))
            self._read_lines(len(chunk))

    def _end(self):
        self._process.kill()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()
        self._end()


def resp(words):
    """A command as Redis takes it.

    >>> resp((b"GET", b"k"))
    b'*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n'
    """
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _start_redis(path, dataset, options, repeats):
    with RedisServer(path, options) as server:
        server.fill(dataset)
        if not options and server.ask(b"SAVE") != b"+OK\r\n":
            raise rivals.Absent("redis-server does not SAVE")
    samples = []
    for _ in range(repeats):
        os.sync()
        begun = time.perf_counter()
        with RedisServer(path, options) as server:
            if server.ask(b"EXISTS", workloads.key_of(dataset.key_count - 1).encode()) != b":1\r\n":
                raise RuntimeError("redis-server lost a key")
            samples.append(time.perf_counter() - begun)
    return samples
