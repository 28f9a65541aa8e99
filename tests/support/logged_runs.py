"""The storage of a grid without the grid: what was sent to the log, what was accepted, what may be found afterwards.

A Run does what a coordinator does with its log, step by step: append, sync, rotate, checkpoint while writes go on, and
get over a disk that fails (a new segment, then a checkpoint before any further write).  It keeps the state after each
position, so that whatever a recovery brings back can be held against the oracle: the state after some prefix of what
was sent, and that prefix no shorter than what the level promises.
"""

from nosqgrid.errors import DiskError
from nosqgrid.formats import effects, records
from nosqgrid.formats.lane import SET
from nosqgrid.formats.values import LIST
from nosqgrid.formats.words import pack, unpack_all
from nosqgrid.storage import checkpoint, recovery
from nosqgrid.storage.wal import ALWAYS, EVERYSEC, OS

DIRECTORY = "/data"
LINEAGE = 0x1122334455667788
LEVELS = (OS, EVERYSEC, ALWAYS)
KEYS = tuple(b"key:%d" % number for number in range(6))
# Sizes of values, and effects in an entry: several entries in a sector and entries over several; or all of them aligned
# so that they end where sectors do, and what a former file left behind fits in between.
SHAPES = (((0, 3, 24, 24, 150, 400, 512, 1300), (1, 1, 1, 2, 5)), ((11, 11, 75, 139, 459, 459, 971), (1,)))
SET_LIST = "set list"
DEADLINE_MS = (1 << 63) - 1  # the same in every clock
APPEND, SYNC, ROTATE, CHECKPOINT = STEPS = "append", "sync", "rotate", "checkpoint"


def random_script(random, length):
    """So many steps, mostly appends."""
    return [random.choice((APPEND,) * 5 + STEPS) for _ in range(length)]


def recover(files, level=None):
    """(PlainState, Wal or None): what a directory holds, and with a level the log of the life that now begins."""
    state = recovery.PlainState()
    report = recovery.load(files, DIRECTORY, state, 0)
    if state.lsn != report.lsn:
        raise AssertionError("the state is at %d, the report at %d" % (state.lsn, report.lsn))
    if level is None:
        return state, None
    return state, recovery.begin_anew(files, DIRECTORY, report, level, report.lineage or LINEAGE, 0, lambda: 1)


def changed(entries, operations, first_lsn):
    """The entries after these effects."""
    found = dict(entries)
    for lsn, (operation, key, value) in enumerate(operations, first_lsn):
        known = found.get(key)
        if operation == SET:
            found[key] = (1, value, 0, lsn)
        elif operation == SET_LIST:
            found[key] = (LIST, value, 0, lsn)
        elif operation == effects.CHANGE:
            if known is not None and known[0] == LIST:
                found[key] = (LIST, known[1] + value, known[2], lsn)
        elif operation == effects.EXPIRE:
            if known is not None and known[0] == LIST:
                found[key] = known[:2] + (value, lsn)
        elif operation == effects.DELETE:
            found.pop(key, None)
        else:
            found.clear()
    return found


def packed(operations):
    """The payload of an entry with these effects."""
    return b"".join(_PACK[operation](key, value) for operation, key, value in operations)


_PACK = {SET: lambda key, value: records.pack_body(key, value, 1),
         SET_LIST: lambda key, value: records.pack_body(key, value, LIST),
         effects.CHANGE: lambda key, value: effects.pack_change(key, LIST, value),
         effects.EXPIRE: lambda key, value: effects.pack_expire(key, LIST, value),
         effects.DELETE: lambda key, value: effects.pack_delete(key),
         effects.CLEAR: lambda key, value: effects.pack_clear()}


class Run(object):
    """A directory in use.

    `history[lsn]` is the state after the entry that ends at that position.  `accepted` is what append() took, `safe`
    what no power cut may take.  `unknown` is the state that an entry led to which was under way or refused in a segment
    that broke, or None: it may be there after a kill.  After a power cut those in `superseded` may be there as well,
    until something behind them is on the disk.
    """

    def __init__(self, files, level, random):
        self.files = files
        self.level = level
        self.history = [{}]
        self.unknown = None
        self.superseded = []
        self.wal = None
        self.random = random
        self.sizes, self.effects = random.choice(SHAPES)
        self.behind = False  # in a new segment, and the checkpoint that it needs is not there yet
        self.refused = []  # errors that came while a checkpoint was made
        self.accepted = self.safe = 0

    def start(self):
        """Recover and begin a life; everything that was recovered is safe from then on."""
        state, self.wal = recover(self.files, self.level)
        self.adopt(state)

    def adopt(self, state, safe=None):
        """What was recovered is what there is; so much of it is safe, or all."""
        problem = self.problem(state, 0)
        if problem:
            raise AssertionError(problem)
        self.history = (self.history + [None] * state.lsn)[:state.lsn] + [state.entries]
        self.accepted, self.safe = state.lsn, state.lsn if safe is None else safe
        self.unknown, self.superseded = None, []

    def problem(self, state, at_least, power_cut=True):
        """What is wrong with a recovered state, or None."""
        if state.lsn < at_least:
            return "position %d was recovered, and %d was promised" % (state.lsn, at_least)
        allowed = [self.history[state.lsn]] if state.lsn < len(self.history) else []
        allowed += [self.unknown] + (self.superseded if power_cut else [])
        if state.entries is not None and state.entries in allowed:
            return None
        return "at position %d of %d there is what never was: %r" % (state.lsn, self.accepted, state.entries)

    # -- steps --------------------------------------------------------------------------------------------------------

    def step(self, name):
        """Do one step of a script.  Raises DiskError, PowerCut."""
        getattr(self, name)()

    def rotate(self):
        self.wal.rotate()

    def append(self):
        operations = [self._operation() for _ in range(self.random.choice(self.effects))]
        first_lsn, count = self.accepted + 1, len(operations)
        after = changed(self.history[self.accepted], operations, first_lsn)
        broken, before, self.unknown = self.wal.broken, self.unknown, after
        try:
            self.wal.append(first_lsn, count, packed(operations))
        except DiskError:
            if self.wal.broken is None or broken is not None:
                self.unknown = before  # nothing of it was left there, or it was not even tried
            raise
        self.unknown = None
        # Inside of an entry there is nothing to recover to.
        self.history += [None] * (count - 1) + [after]
        self.accepted += count
        if self.level == ALWAYS:
            self.safe, self.superseded = self.accepted, []

    def _operation(self):
        draw, key = self.random.random(), self.random.choice(KEYS)
        if draw < 0.3 and self.effects != (1,):
            return self._operation_on_list(key)
        if draw < 0.8 or self.effects == (1,):
            return SET, key, bytes((self.random.randrange(256),)) * self.random.choice(self.sizes)
        return (effects.DELETE, key, b"") if draw < 0.97 else (effects.CLEAR, b"", b"")

    def _operation_on_list(self, key):
        """What makes a list where there is none, else a change or another deadline: that of one there, as always."""
        known = self.history[self.accepted].get(key)
        pushed = pack([b"rpush", bytes((self.random.randrange(256),)) * self.random.choice(self.sizes)])
        if known is None or known[0] != LIST or self.random.random() < 0.1:
            return SET_LIST, key, pushed
        if self.random.random() < 0.2:
            return effects.EXPIRE, key, self.random.choice((0, DEADLINE_MS))
        return effects.CHANGE, key, pushed

    def sync(self):
        """What the syncer does once a second; at `os` there is none."""
        if self.level != OS:
            self.wal.sync()
            if not self.behind:  # before, what the broken segment holds may be missing
                self.safe, self.superseded = self.accepted, []

    def checkpoint(self, meanwhile=True):
        """Make one, with appends while it is made; then the log before it may go."""
        since = self.wal.position()

        def position():
            found = self.accepted, self.wal.pieces(since), 0
            if meanwhile:
                self.meanwhile(APPEND)
                self.meanwhile(self.random.choice((APPEND, ROTATE)))
            return found

        plan = checkpoint.Plan(DIRECTORY, None, LINEAGE, self.accepted)
        made = checkpoint.make(self.files, HalfAndHalf(self, meanwhile), plan, position)
        self.safe = max(self.safe, made.lsn)
        for lsn, path in checkpoint.find_checkpoints(self.files, DIRECTORY):
            if lsn < made.lsn:
                checkpoint.remove_if_there(self.files, path)
        self.wal.durable_lsn = max(self.wal.durable_lsn, made.lsn)
        self.wal.remove_through(made.lsn)

    def meanwhile(self, name):
        """A step while a checkpoint is made, which is the work of another process and goes on whatever comes of it."""
        try:
            self.step(name)
        except DiskError as error:
            self.refused.append(error)

    def records(self, keys):
        """Records of these keys as they are now, as memory/walker gives them."""
        entries = self.history[self.accepted]
        found = []
        for key in keys:
            if key in entries:
                value_type, value, deadline_ms, version = entries[key]
                head = bytes(14) + bytes((value_type, 0))
                named = head[:12] + len(key).to_bytes(2, "little") + head[14:] + key
                found += records.with_parts(named, version, deadline_ms, _parts(value_type, value))
        return found

    def get_over(self):
        """Go on behind a broken segment: a new one, then a checkpoint.  Raises where the disk does not let us yet."""
        if self.behind or self.wal.broken is not None:
            self.behind = True
            self.wal.start_over(self.accepted + 1)
            self.superseded.append(self.unknown)
            self.unknown = None
            self.checkpoint(meanwhile=False)
            self.behind = False

    def close(self):
        self.wal.close()


def _parts(value_type, value):
    """The value of a record, or of several: of a list's changes one each."""
    if value_type != LIST:
        return [value]
    return [pack(change) for change in unpack_all(bytes(value))]


class HalfAndHalf(object):
    """In the place of memory.walker.Walker: every other key, and the rest after some more appends."""

    def __init__(self, run, appends):
        self._run = run
        self._appends = appends

    def step(self, cursor):
        found = self._run.records(KEYS[cursor::2])
        if self._appends:
            self._run.meanwhile(APPEND)
        return 1 - cursor, found
