"""The grid as a program holds it."""

import os
import re
import weakref
from collections import namedtuple

from ..engine.policies import POLICIES
from ..errors import UsageError
from ..formats.values import encode_key
from ..limits import CALL_TIMEOUT_S, GIB, KIB, MIB, NEAR_CACHE_BYTES_DEFAULT
from ..network import addresses
from . import attachment, compute, share, views
from .codec import codec_of
from .link import named_values
from .locks.methods import LockMethods
from .mapping import GridMapping
from .pipeline import Pipeline
from .queues.methods import QueueMethods
from .store import Store
from .topics.methods import TopicMethods
from .workers.methods import WorkMethods

CheckpointInfo = namedtuple("CheckpointInfo", "path lsn keys bytes seconds")

_UNITS = {"": 1, "k": KIB, "m": MIB, "g": GIB}
_grids = weakref.WeakSet()


def size_bytes(text):
    """A number of bytes from an int or a text like 64m, 2g, 512k.

    >>> size_bytes("64m")
    67108864
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = re.match(r"^(\d+)([kmg]?)(?:i?b)?$", text.strip().lower()) if isinstance(text, str) else None
    if match is None:
        raise UsageError("%r is no size; write a number of bytes, or 512k, 64m, 2g" % (text,))
    return int(match.group(1)) * _UNITS[match.group(2)]


class Ops(GridMapping):
    """What Grid and Namespace share beyond the mapping."""

    def view(self, key):
        """The bytes of a value in place, without a copy: a View, for a `with` that gives a read-only memoryview.

            with grid.view("model") as buffer:
                socket.sendall(buffer)

        They stay as they are, whatever becomes of the key, until the view and everything made from it (slices, arrays)
        is gone; that keeps the memory from being used again, and `stats()` says who keeps how much (`retainers`).
        A view belongs to the process that made it: a forked child has to make its own.
        Raises KeyError; CoordinatorLostError for a large value that this process had not mapped before its coordinator
        ended.  Cost: some 10 us; the first one of a large value in a process 25 to 110.  Small values are copied.
        """
        return views.view(self._store, self._raw(key), key)

    def pipeline(self):
        """A Pipeline: commands applied as one atomic batch."""
        self._store.check_open()
        return Pipeline(self._store, self._raw)

    def get_or_compute(self, key, function, ttl=None, timeout=None, *, stale=None, early=0.0):
        """The value at `key`; where there is none, function() computes it, once among all processes and threads.

        The others wait for the value, up to `timeout` seconds if given (then CoordinatorTimeoutError).  When function()
        raises, its exception goes to its caller and the next one who waits computes; the same when the process dies.
        Where the grid is full, the value too large for it, or the disk refuses the log, the value is returned all the
        same, and not kept.
        Rather old than late: with `stale` seconds a value is kept so much longer than its `ttl`; meanwhile one caller
        makes it anew, and everybody else gets the old one at once.  With `early`, a factor (1.0 is the usual), a value
        is now and then made anew before its time, the likelier the less is left and the longer it took, so that those
        who ask all the time never meet an old one.
        Raises ComputationCycleError when function() asks for the key itself.
        Cost: that of get() where the value is there; else some 200 us and the computation.
        """
        return compute.get_or_compute(self, key, function, ttl, timeout, stale, early)

    def get_stale(self, key, stale, default=None):
        """(value, fresh) of a key that is kept `stale` seconds longer than it is fresh; (default, False) without one.

        For values that get_or_compute(stale=...) keeps, or set() with a ttl that has those seconds in it.
        """
        return compute.get_stale(self, key, stale, default)

    def cached(self, ttl=None, *, name=None, key=None, stale=None, early=0.0):
        """A decorator that keeps a function's results in the grid, shared by all processes, for `ttl` seconds.

            @grid.cached(ttl=60)
            def lookup(user): ...

        Arguments and result must be values that the grid carries.  `key(*args, **kwargs)` may make the key from the
        arguments itself; `name` stands for the function instead of its module and name.  The wrapped function has
        `key_of(*args)`, the key of a call, and `forget(*args)`, which deletes its result.  Each result is computed once
        even when many miss it at once; `stale` and `early` are those of get_or_compute.
        """
        return compute.cached(self, ttl, name, key, stale, early)


class Grid(Ops, LockMethods, QueueMethods, TopicMethods, WorkMethods):
    """A grid attached to: a mutable mapping shared by all processes that attach to its coordinator.

    Threads may share it.  It can be passed to other processes: it pickles as an address and attaches there; after
    fork() a child reads on at once and gets a session of its own with its first write.  Use it as a context manager, or
    close() it.  Names and cost of the operations: client/mapping.
    """

    def __init__(self, address=None, timeout=None, near_cache=NEAR_CACHE_BYTES_DEFAULT, codec=None, reconnect=0.0,
                 starter=None):
        self._options = (timeout, near_cache, codec, reconnect)
        store = Store(addresses.resolve(address) if starter is None else None,
                      CALL_TIMEOUT_S if timeout is None else float(timeout), float(reconnect),
                      size_bytes(near_cache or 0), self._publish_get, self, codec_of(codec), starter)
        super().__init__(store, "")
        store.read_function = self._read
        _grids.add(self)

    def _publish_get(self, get):
        # Shadows the method: a closure bound to the attachment is 0.2 us faster than a method that looks things up.
        self.get = get

    def _read(self, key, default):
        return self.get(key, default)

    @property
    def address(self):
        """Path of the coordinator's socket."""
        return self._store.address

    @property
    def aio(self):
        """The grid for asyncio: await forms of everything that may wait (client/aio/grid.Aio).  Reads need none."""
        if self._store.aio is None:
            from .aio.grid import Aio  # asyncio is not small
            self._store.aio = Aio(self)
        return self._store.aio

    @property
    def connected(self):
        """Whether the coordinator that this process is attached to lives: a look at the socket, some 2 us.

        Where it does not, reads go on from its last state until a call that needs a coordinator (ping() is the least)
        attaches to the one that serves by then.
        """
        return self._store.connected()

    def __len__(self):
        return self._store.command(b"DBSIZE")

    def clear(self):
        """Remove every key, in one step."""
        self._store.command(b"FLUSHALL", again=True)

    def map(self, name, *, quota=None, policy=None):
        """The keys that begin with "name:" as a mapping of their own, without that prefix.

        With `quota`, bytes or a text like "64m", its keys together may take so much (large values included); beyond,
        `policy` decides: "lfu" and "lru" evict keys of this map, "refuse" raises GridFullError.  Left out, it is the
        grid's own policy.  A quota is the same for all who use the grid, whoever set it last; 0 takes it away.  It is
        set anew when this process attaches to another coordinator.
        """
        space = Namespace(self._store, name)
        if policy is not None and policy not in POLICIES:
            raise UsageError("no policy is called %r; there are: %s" % (policy, " ".join(POLICIES)))
        if quota is not None:
            self._store.set_quota(encode_key(name), size_bytes(quota), policy)
        elif policy is not None:
            raise UsageError("a map has a policy of its own only with a quota")
        return space

    def stats(self):
        """The coordinator's numbers: pid, epoch, clients, keys, heap_size_bytes, heap_live_bytes, uptime_s and more."""
        return named_values(self._store.command(b"NOSQGRID.STATS"), self.address)

    def ping(self):
        """Ask the coordinator for a sign of life."""
        self._store.command(b"PING")
        return True

    def share(self, obj):
        """Put an object into shared memory, once, for other processes; a small Ref that can be pickled.

            with grid.share(array) as ref:
                pool.map(work, [(ref, i) for i in range(100)])  # in work: ref.get() is the array, in place, read-only

        It is no key's and is not written to disk.  It is freed when the last process drops its last Ref or ends.
        Raises UnsupportedTypeError, GridFullError.  Cost: some 200 us and one copy of the object.
        """
        return share.share(self, obj)

    def checkpoint(self, to=None, progress=None):
        """Write everything to disk, consistent at one moment, while everybody goes on; a CheckpointInfo.

        Into the grid's directory, where the next start finds it; or to the file `to`, a backup, replacing it in one
        step when the new one has been verified.  `progress()` is called ten times a second meanwhile.
        Raises CommandError without a directory and without `to`; DiskError, and what stood before stands.
        """
        found = named_values(self._store.checkpoint(None if to is None else os.path.abspath(os.fspath(to)), progress),
                             self.address)
        return CheckpointInfo(found["path"], found["lsn"], found["keys"], found["bytes"], found["ms"] / 1000.0)

    def close(self):
        """Leave the grid; every later call raises ClosedError.  Idempotent.

        A grid of open() that is the last one ends its coordinator, and waits until everything is on the disk.
        """
        self._store.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            self._store.got.leave()
        self.close()

    def __repr__(self):
        return "<nosqgrid.Grid %s%s>" % (self.address, " closed" if self._store.closed else "")

    def __reduce__(self):
        timeout, near_cache, codec, reconnect = self._options
        starter = self._store.starter
        if starter is not None:
            return _open_again, starter.arguments() + (timeout, near_cache, codec)
        return Grid, (self.address, timeout, near_cache, codec, reconnect)


class Namespace(Ops):
    """The keys of a grid that begin with "name:"; made by Grid.map.  A Redis client sees the whole keys."""

    def __init__(self, store, name):
        if not isinstance(name, str) or not name or ":" in name:
            raise UsageError("a map's name is a str without ':', not %r" % (name,))
        super().__init__(store, name + ":")
        self.name = name
        encode_key(self._prefix)

    def map(self, name, *, quota=None, policy=None):
        raise UsageError("a map has no maps; use grid.map(%r)" % ("%s.%s" % (self.name, name)))

    def __repr__(self):
        return "<nosqgrid map %r of %s>" % (self.name, self._store.address)


def attach(address=None, *, timeout=None, near_cache=NEAR_CACHE_BYTES_DEFAULT, codec=None, reconnect=0.0):
    """Attach to a running coordinator; a Grid.

    Args:
        address: path of its socket; by default $NOSQGRID_SOCKET, else the default path of this user.
        timeout: seconds that a call waits for a coordinator that lives but does not answer (30).
        near_cache: bytes, or a text like "64m", of decoded values kept in this process (16 MiB); 0 turns it off.
        codec: "pickle" to store what the grid has no type for as a signed pickle, and to read such values; the key
            that signs them is a file of this user's (client/pickled).  None, the default: nothing is ever unpickled.
        reconnect: seconds that a call waits for a new coordinator when this one is gone (0: it raises at once).
    Raises NotServedError, PermissionRefusedError, FormatVersionError, UsageError.
    """
    return Grid(address, timeout, near_cache, codec, reconnect)


def open(directory=None, *, memory=None, policy=None, durability=None, timeout=None,
         near_cache=NEAR_CACHE_BYTES_DEFAULT, codec=None):
    """A grid that needs no service: attaches to the coordinator of a directory, and starts one where there is none.

    Args:
        directory: where the data are kept; made (mode 0700) if it is not there.  None: in memory alone, shared by
            whatever this user opens so, at the default address of attach().
        memory: for the grid, when a coordinator is started here; 256 MiB, or less where the machine or its
            container has not so much.
        policy: what happens when the memory is full: "refuse" writes (the default with a directory), or evict what is
            asked for least often ("lfu", the default without) or was not asked for the longest ("lru").
        durability: "none", "os", "everysec" (the default with a directory) or "always".
        timeout, near_cache, codec: as in attach().
    The coordinator outlives the process that started it as long as somebody is attached.  The last one to close(),
    or to end, has it make a checkpoint and end.  When it is killed the next write of anybody starts another.
    (A set or delete in whose middle it dies is made again; any other call raises CoordinatorLostError then, because
    nobody knows whether it took effect.)
    Raises StartError with what is in the way; UsageError where it is served with another durability or policy.
    """
    grid = _open_again(directory, memory, policy, durability, timeout, near_cache, codec)
    asked = {"durability": durability, "policy": policy}
    served = grid.stats() if durability is not None or policy is not None else {}
    for name, value in asked.items():
        if value is not None and served.get(name) != value:
            grid.close()
            raise UsageError("%s is served with %s %s, and %s was asked for: use one for all"
                             % (directory or grid.address, name, served.get(name), value))
    return grid


def _open_again(directory, memory, policy, durability, timeout, near_cache, codec):
    if memory is not None:
        size_bytes(memory)  # refused here, with a better message than a coordinator's that does not start
    from .embedded import Starter  # here alone: who attaches does not start processes, and imports that much faster
    return Grid(None, timeout, near_cache, codec, 0.0, Starter(directory, memory, policy, durability))


def _after_fork_in_child():
    for grid in list(_grids):
        grid._store.after_fork()


if attachment.FORK_HOOKED:
    os.register_at_fork(after_in_child=_after_fork_in_child)


share.make_grid = Grid
