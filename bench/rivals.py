"""One adapter for each thing that is compared: how it is started, filled, read and written.

All get str keys and bytes values, because that is what a program has in hand; what a rival needs beyond that (encoding
a key, a transaction, pickling) is part of its price.  The loops of the fast ones stand here without a function call of
ours an operation, so that none pays for the adapter.  Each rival runs as its documentation advises for a cache: no
persistence, files on tmpfs, its own default serialisation.

A rival that cannot run raises Absent with the reason.
"""

import multiprocessing
import os
import signal
import subprocess
import time
import warnings

from . import workloads

START_TIMEOUT_S = 10.0
FILL_CHUNK = 1000
GRID_MEMORY = "256m"


class Absent(Exception):
    """This rival cannot be measured here; the text says why."""


class Rival:
    """A store under comparison.  `start` makes it, `connect` (also in other processes) uses it, `close` ends both."""

    name = ""
    shared = False  # whether another process can connect to the address that start() returned
    batches = False  # whether it has an operation for many keys at once

    def start(self, folder):
        """Start whatever serves it, with its files in `folder`; returns an address for connect()."""

    def connect(self, address):
        """Make get, set_, delete and set_many usable in this process."""
        raise NotImplementedError

    def loop_get(self, keys):
        """Get each key."""
        workloads.loop_get(self.get, keys)

    def loop_set(self, keys, value):
        """Set each key, one at a time; each is visible to everybody before the next."""
        workloads.loop_set(self.set_, keys, value)

    def fill(self, pairs):
        """Store all pairs, in the fastest way there is."""
        for batch in _chunks(pairs, FILL_CHUNK):
            self.set_many(batch)

    def close(self):
        """Disconnect, and stop what start() started."""


def _chunks(pairs, size):
    chunk = {}
    for key, value in pairs:
        chunk[key] = value
        if len(chunk) == size:
            yield chunk
            chunk = {}
    if chunk:
        yield chunk


def import_rival(name):
    """Import a module that may not be there; warnings it raises are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return __import__(name)
        except ImportError as error:
            raise Absent("%s is not installed (%s)" % (name, error)) from error


class Dict(Rival):
    """The ceiling: no sharing, no copy, one hash lookup."""

    name = "dict (not shared)"
    batches = True

    def connect(self, address):
        store = self._store = {}
        self.get = store.get
        self.set_ = store.__setitem__
        self.delete = lambda key: store.pop(key, None)
        self.set_many = store.update

    def loop_set(self, keys, value):
        store = self._store
        for key in keys:
            store[key] = value


class Nosqgrid(Rival):
    """nosqgrid as it comes: the near cache on."""

    name = "nosqgrid"
    shared = True
    batches = True
    attach_options = {}

    def __init__(self):
        self._launched = None
        self.grid = None

    def start(self, folder):
        try:
            from nosqgrid.client import launcher
        except ImportError as error:
            raise Absent("cannot import it: %s" % error) from error
        self._launched = launcher.start(memory=GRID_MEMORY)
        return self._launched.address

    def connect(self, address):
        import nosqgrid
        self.grid = nosqgrid.attach(address, **self.attach_options)
        self.get = self.grid.get
        self.set_ = self.grid.set
        self.delete = self.grid.delete
        self.set_many = self.grid.set_many

    def close(self):
        if self.grid is not None:
            self.grid.close()
        if self._launched is not None:
            self._launched.stop()


class NosqgridArena(Nosqgrid):
    """nosqgrid with the near cache off: every get reads the arena."""

    name = "nosqgrid, no near cache"
    attach_options = {"near_cache": 0}


class Lmdb(Rival):
    """py-lmdb, a C extension: a transaction for each operation, no sync, on tmpfs."""

    name = "py-lmdb"
    shared = True
    batches = True

    def start(self, folder):
        import_rival("lmdb")
        path = os.path.join(folder, "lmdb")
        os.mkdir(path)
        return path

    def connect(self, address):
        lmdb = import_rival("lmdb")
        self._environment = lmdb.open(address, map_size=1 << 30, sync=False, metasync=False, max_readers=64)

    def get(self, key):
        """Get one key in its own transaction."""
        with self._environment.begin() as transaction:
            return transaction.get(key.encode())

    def set_(self, key, value):
        """Put one key in its own transaction."""
        with self._environment.begin(write=True) as transaction:
            transaction.put(key.encode(), value)

    def delete(self, key):
        """Delete one key in its own transaction."""
        with self._environment.begin(write=True) as transaction:
            transaction.delete(key.encode())

    def set_many(self, pairs):
        """Put all pairs in one transaction."""
        with self._environment.begin(write=True) as transaction:
            put = transaction.put
            for key, value in pairs.items():
                put(key.encode(), value)

    def loop_get(self, keys):
        begin = self._environment.begin
        for key in keys:
            with begin() as transaction:
                transaction.get(key.encode())

    def loop_set(self, keys, value):
        begin = self._environment.begin
        for key in keys:
            with begin(write=True) as transaction:
                transaction.put(key.encode(), value)

    def close(self):
        if hasattr(self, "_environment"):
            self._environment.close()


class Redis(Rival):
    """redis-py over a Unix socket to a redis-server of its own, without persistence."""

    name = "redis-py"
    shared = True
    batches = True

    def __init__(self):
        self._server = None
        self._client = None

    def start(self, folder):
        import_rival("redis")
        path = os.path.join(folder, "redis.sock")
        try:
            self._server = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", path, "--unixsocketperm", "600", "--save", "",
                 "--appendonly", "no", "--dir", folder, "--loglevel", "warning", "--daemonize", "no"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise Absent("redis-server cannot be run (%s)" % error) from error
        return path

    def connect(self, address):
        redis = import_rival("redis")
        self._client = redis.Redis(unix_socket_path=address)
        self._refused = redis.exceptions.ConnectionError
        _wait_until(self._answers, "redis-server does not answer")
        self.get = self._client.get
        self.set_ = self._client.set
        self.delete = self._client.delete

    def _answers(self):
        try:
            return self._client.ping()
        except self._refused:
            return False

    def set_many(self, pairs):
        """One pipeline, not atomic, which is redis-py's fastest way."""
        pipeline = self._client.pipeline(transaction=False)
        for key, value in pairs.items():
            pipeline.set(key, value)
        pipeline.execute()

    def close(self):
        if self._client is not None:
            self._client.close()
        if self._server is not None:
            stop_process(self._server)


class Manager(Rival):
    """multiprocessing.Manager().dict(), which the standard library offers for this."""

    name = "Manager().dict()"
    batches = True

    def __init__(self):
        self._manager = None

    def start(self, folder):
        self._manager = multiprocessing.Manager()

    def connect(self, address):
        proxy = self._manager.dict()
        self.get = proxy.get
        self.set_ = proxy.__setitem__
        self.delete = lambda key: proxy.pop(key, None)
        self.set_many = proxy.update

    def close(self):
        if self._manager is not None:
            self._manager.shutdown()


class DiskCache(Rival):
    """diskcache (SQLite) on tmpfs, nothing evicted."""

    name = "diskcache"
    batches = True

    def start(self, folder):
        import_rival("diskcache")
        return os.path.join(folder, "diskcache")

    def connect(self, address):
        diskcache = import_rival("diskcache")
        self._cache = diskcache.Cache(address, eviction_policy="none", size_limit=1 << 32)
        self.get = self._cache.get
        self.set_ = self._cache.set
        self.delete = self._cache.delete

    def set_many(self, pairs):
        """All pairs in one transaction."""
        with self._cache.transact():
            for key, value in pairs.items():
                self._cache.set(key, value)

    def close(self):
        if hasattr(self, "_cache"):
            self._cache.close()


class UltraDict(Rival):
    """UltraDict with a buffer of 4 MiB and no lock between processes: one writer only, each reader keeps a copy."""

    name = "UltraDict"

    def start(self, folder):
        return import_rival("UltraDict")

    def connect(self, address):
        store = self._store = address.UltraDict(buffer_size=4 << 20)
        self.get = store.get
        self.set_ = store.__setitem__
        self.delete = lambda key: store.pop(key, None)

    def fill(self, pairs):
        self._store.update(dict(pairs))

    def close(self):
        if hasattr(self, "_store"):
            self._store.unlink()


ALL = (Dict, Nosqgrid, NosqgridArena, Lmdb, Redis, Manager, DiskCache, UltraDict)


class Opened:
    """The rivals that run, with `skipped` = [(name, reason)] for the others; a context manager that ends them all."""

    def __init__(self, classes, folder):
        self.rivals = []
        self.addresses = {}
        self.skipped = []
        self._classes = classes
        self._folder = folder

    def __enter__(self):
        try:
            for cls in self._classes:
                self._open(cls)
        except BaseException:
            self.close()
            raise
        return self

    def _open(self, cls):
        rival = cls()
        self.rivals.append(rival)
        folder = os.path.join(self._folder, cls.__name__.lower())
        os.mkdir(folder)
        try:
            self.addresses[rival.name] = rival.start(folder)
            rival.connect(self.addresses[rival.name])
        except Absent as absent:
            self.rivals.remove(rival)
            self.skipped.append((rival.name, str(absent)))
            rival.close()

    def close(self):
        """Close every rival, also when one of them fails to."""
        failure = None
        for rival in self.rivals:
            try:
                rival.close()
            except Exception as error:  # whatever a rival raises, the others must be ended first
                failure = failure or error
        self.rivals = []
        if failure is not None:
            raise failure

    def __exit__(self, *_):
        self.close()


def stop_process(process):
    """End a child for certain and reap it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(START_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until(condition, complaint):
    end = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise Absent(complaint)
        time.sleep(0.02)
