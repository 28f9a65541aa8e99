"""Keys and values as Python sees them: what a Grid and a namespace of one have in common.

A key is a str or bytes; "k" and b"k" are one key.  A value is what formats/values carries: None, bool, int, float, str,
bytes, datetime, lists, tuples, dicts and sets of those, and arrays (numpy, array.array, memoryviews); it comes back
with the type it went in with, as a copy: changing a list that came out of the grid changes nothing in it.  A numpy
array, or a memoryview of other elements than bytes, that is large comes back in place: read-only, on the shared memory.
bytes come back as bytes, a copy; view() has them in place.

Reads (get, [], in, get_many, get_versioned, ttl, exists, view) touch only shared memory, but for the first look at a
large value, which is asked for; everything else asks the coordinator.  A write is visible to every process when the
call returns, and so are all earlier ones (each key is linearizable).
"""

import time
from collections.abc import ItemsView, MutableMapping, ValuesView

from ..engine.glob import Glob
from ..errors import CoordinatorLostError, UsageError, ValueTooLargeError, WrongTypeError
from ..formats import lane as layout
from ..formats import values
from ..formats.records import BODY, COPIES_BITS, DEADLINE, EXPIRES
from ..limits import KEY_SIZE_BYTES_MAX, LANE_FRAME_BYTES_MAX, SCAN_COUNT_DEFAULT, TTL_MS_MAX, VALUE_SIZE_BYTES_MAX
from . import large

ALWAYS = large.ALWAYS
_MISSING = object()
FRAME_CONTENT_BYTES = LANE_FRAME_BYTES_MAX - 16  # of key and value; what is larger goes over the socket
CHUNK_BYTES = 16 * 1024  # of set_many posted at a time: the coordinator applies one while the next is made


def deadline_ms_of(ttl):
    """The monotonic deadline in ms for a ttl in seconds, 0 for None."""
    if ttl is None:
        return 0
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise UsageError("a ttl is a number of seconds, not %r" % (ttl,))
    if not 0 < ttl * 1000 < TTL_MS_MAX:
        raise UsageError("a ttl of %r seconds; it must be more than 0 (use delete, or None for no ttl)" % (ttl,))
    return max(int(time.monotonic() * 1000 + ttl * 1000), 1)


def condition_of(if_absent, if_present, if_version):
    """(mode, version) of NOSQGRID.SET for the conditions of set()."""
    if not if_absent and not if_present and if_version is None:
        return ALWAYS
    if bool(if_absent) + bool(if_present) + (if_version is not None) > 1:
        raise UsageError("if_absent, if_present and if_version exclude each other")
    if if_version is not None and (isinstance(if_version, bool) or not isinstance(if_version, int) or if_version < 0):
        raise UsageError("if_version is a version as get_versioned gives it, not %r" % (if_version,))
    return (b"NX" if if_absent else b"XX" if if_present else b"VERSION"), if_version or 0


def set_frame(raw_key, value_type, payload, deadline_ms):
    """A SET frame (formats/lane)."""
    if deadline_ms:
        return (BODY.pack(len(payload), len(raw_key), value_type, layout.SET | EXPIRES) + DEADLINE.pack(deadline_ms)
                + raw_key + payload)
    return BODY.pack(len(payload), len(raw_key), value_type, layout.SET) + raw_key + payload


def encode_checked(codec, value, raw_key):
    """(type, payload) of a value that has to travel as bytes: what no socket takes is refused before it is sent."""
    value_type, payload = codec.encode(value, raw_key)
    if len(payload) > VALUE_SIZE_BYTES_MAX:
        raise ValueTooLargeError("a value of %d bytes; not more than %d can go this way: set() it, or split it"
                                 % (len(payload), VALUE_SIZE_BYTES_MAX))
    return value_type, payload


class _Items(ItemsView):
    """Pairs as they are found: a key that goes away meanwhile is left out, and so is one that has a structure of the
    Redis commands, which is no value here."""

    def __iter__(self):
        for key in self._mapping:
            try:
                value = self._mapping.get(key, _MISSING)
            except WrongTypeError:
                continue
            if value is not _MISSING:
                yield key, value


class _Values(ValuesView):
    def __iter__(self):
        return (value for _, value in _Items(self._mapping))


class GridMapping(MutableMapping):
    """A mutable mapping over the keys of a store that begin with `prefix` (which str callers do not see)."""

    def __init__(self, store, prefix):
        self._store = store
        self._encoders = store.codec.encoders
        self._prefix = prefix  # str
        self._raw_prefix = values.encode_key(prefix)

    def _raw(self, key):
        if not self._raw_prefix:
            return values.encode_key(key)
        raw = self._raw_prefix + values.encode_key(key)
        return values.encode_key(raw) if len(raw) > KEY_SIZE_BYTES_MAX else raw

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, key, default=None):
        """The value, or `default`.  Lock-free, no system call; about 1 us, a tenth of it from the near cache."""
        self._store.check_open()
        return self._store.read_function(self._prefix + key if isinstance(key, str) else self._raw(key), default)

    def __getitem__(self, key):
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key):
        try:
            return self.get(key, _MISSING) is not _MISSING
        except WrongTypeError:
            return True  # a structure of the Redis commands

    def exists(self, *keys):
        """How many of the keys are there; a key named twice counts twice."""
        return sum(1 for key in keys if key in self)

    def get_many(self, keys):
        """{key: value} of those keys that are there.  Each is read for itself: another process may write in between.

        To see several keys as one state write them in one pipeline together with a version key, and read that key
        before and after; or keep what belongs together in one value.
        """
        found = {}
        get = self.get
        for key in keys:
            value = get(key, _MISSING)
            if value is not _MISSING:
                found[key] = value
        return found

    def get_versioned(self, key):
        """(value, version), or (None, 0) without such a key.

        A version is an int that no other write of this grid has; set(if_version=...) with it succeeds only if nobody
        wrote the key since, with 0 only if nobody has created it.
        """
        self._store.check_open()
        raw_key = self._raw(key)
        found = self._store.read(raw_key)
        if found is None:
            return None, 0
        return self._store.codec.decode(found.type, found.value, raw_key), found.stamp >> COPIES_BITS

    def ttl(self, key):
        """Seconds until the key expires, None if it never does.  Raises KeyError without such a key."""
        self._store.check_open()
        found = self._store.read(self._raw(key))
        if found is None:
            raise KeyError(key)
        return max(found.deadline_ms / 1000.0 - time.monotonic(), 0.0) if found.deadline_ms else None

    # -- writing ------------------------------------------------------------------------------------------------------

    def set(self, key, value, ttl=None, *, if_absent=False, if_present=False, if_version=None):
        """Store a value, to expire after `ttl` seconds if given; the new version, or None when a condition refused it.

        At most one condition: the key must be absent, be present, or have exactly the version `if_version`.

        Raises UnsupportedTypeError, KeyTooLargeError, ValueTooLargeError, UsageError (nothing was sent); GridFullError
        (nothing was changed); CoordinatorLostError, CoordinatorTimeoutError (whether it was is not known).
        Cost: 5 to 9 us while the coordinator is awake and has a processor, two copies of the value here and two there.
        A value of a quarter segment (256 KiB) or more is copied once, into a file of shared memory; some 200 us and
        that copy.
        """
        raw_key = self._raw(key)
        encoder = self._encoders.get(type(value))
        if encoder is None:
            return self._set_parts(raw_key, value, ttl, if_absent, if_present, if_version)
        value_type, payload = encoder(value)
        if ttl is None and not if_absent and not if_present and if_version is None:
            attachment = self._store.attachment
            frame_size = BODY.size + len(raw_key) + len(payload)
            if attachment.ready and frame_size <= LANE_FRAME_BYTES_MAX:
                # The common case without the layers between; what goes wrong is said by the same exceptions.
                try:
                    return attachment.set_frame(BODY.pack(len(payload), len(raw_key), value_type, 0) + raw_key
                                                + payload)
                except CoordinatorLostError:
                    if not self._store.tries_again:
                        raise
            return self._set_raw(raw_key, value_type, payload, 0)
        return self._set_raw(raw_key, value_type, payload, deadline_ms_of(ttl),
                             condition_of(if_absent, if_present, if_version))

    def _set_parts(self, raw_key, value, ttl, if_absent, if_present, if_version):
        """set() of what is copied only where it has to be: arrays, buffers, and all that is pickled."""
        value_type, parts = self._store.codec.encode_parts(value, raw_key)
        return self._set_raw(raw_key, value_type, parts, deadline_ms_of(ttl),
                             condition_of(if_absent, if_present, if_version))

    def _set_raw(self, raw_key, value_type, payload, deadline_ms, condition=ALWAYS):
        """Set a key to a payload, or to the parts of one, by the way that its size asks for."""
        store, parts = self._store, payload if type(payload) is list else [payload]
        size_bytes = values.payload_size(parts)
        attachment = store.live()
        if size_bytes >= attachment.large_value_bytes and attachment.lane is not None:
            try:
                return store.call(large.store, parts, size_bytes, raw_key, value_type, deadline_ms, condition,
                                  again=condition == ALWAYS)
            except large.NotHandedOver as error:
                if size_bytes > attachment.info.get("value_size_bytes_max", VALUE_SIZE_BYTES_MAX):
                    raise error.error
        payload = b"".join(parts) if len(parts) > 1 or type(parts[0]) is not bytes else parts[0]
        if size_bytes > VALUE_SIZE_BYTES_MAX:
            raise ValueTooLargeError("a value of %d bytes; without shared memory to write not more than %d can go to "
                                     "the coordinator" % (size_bytes, VALUE_SIZE_BYTES_MAX))
        if condition != ALWAYS or attachment.lane is None or len(raw_key) + size_bytes > FRAME_CONTENT_BYTES:
            return store.command(b"NOSQGRID.SET", raw_key, payload, value_type, deadline_ms, *condition,
                                 again=condition == ALWAYS)
        return store.call("set_frame", set_frame(raw_key, value_type, payload, deadline_ms), again=True)

    def create(self, key, nbytes=None, *, ttl=None, dtype=None, shape=None, order="C", from_file=None):
        """A value to be filled in place, without a copy: a Creation, to write into its `buffer` and then to seal().

            with grid.create("model", 500 * 2 ** 20) as creation:       # sealed at the end of the block
                source.readinto(creation.buffer)

        With `dtype` and `shape` the value is a numpy array, to be filled through `creation.array`; drop that name
        before it is sealed.  With `from_file`, a path, the value is that file's content, which does not pass through
        Python, and the version is returned at once.
        Nobody sees the key change before seal(); until then it is gone with this process.
        Raises GridFullError, ValueTooLargeError, UsageError, OSError for the file.
        """
        raw_key, deadline_ms = self._raw(key), deadline_ms_of(ttl)
        if from_file is not None:
            if nbytes is not None or dtype is not None or shape is not None:
                raise UsageError("from_file gives the size of the value: leave out nbytes, dtype and shape")
            try:
                return self._store.call(large.from_file, from_file, raw_key, deadline_ms)
            except large.NotHandedOver as error:
                raise error.error
        if dtype is not None:
            return large.new_array(self._store, raw_key, deadline_ms, dtype, nbytes if shape is None else shape, order)
        if isinstance(nbytes, bool) or not isinstance(nbytes, int) or nbytes < 1:
            raise UsageError("create wants the number of bytes, at least 1, not %r" % (nbytes,))
        return large.Creation(self._store, raw_key, nbytes, deadline_ms)

    def __setitem__(self, key, value):
        self.set(key, value)

    def set_many(self, mapping, ttl=None):
        """Store many values, each visible as soon as it is stored, all when the call returns; not one atomic step.

        Half the cost of set() a value or less.  Where one fails (GridFullError) others may have been stored; the first
        error is raised.
        """
        pairs = mapping.items() if hasattr(mapping, "items") else mapping
        frames, rows = self._frames_of(pairs, deadline_ms_of(ttl))
        if frames and self._store.live().lane is None:
            for frames_of_one in _Chunks(frames):  # others are served in between
                self._store.call("batch", frames_of_one, again=True)
        elif frames:
            self._store.call("frames", _Chunks(frames), again=True)
        for row in rows:
            self._set_raw(*row)

    def _frames_of(self, pairs, deadline_ms):
        """(SET frames, rows too large for one) of all pairs: everything is encoded, and so checked, before the first is
        sent.  The loop does for the commonest types what _raw() and encode_checked() do, without their calls.
        """
        frames, rows = [], []
        pack, prefix, encode_str, codec = BODY.pack, self._raw_prefix, str.encode, self._store.codec
        for key, value in pairs:
            try:
                raw_key = prefix + encode_str(key)
            except (TypeError, UnicodeEncodeError):
                raw_key = self._raw(key)
            if type(value) is bytes:
                value_type, payload = values.BYTES, value
            else:
                value_type, payload = codec.encode(value, raw_key)
            if len(raw_key) + len(payload) > FRAME_CONTENT_BYTES or len(raw_key) > KEY_SIZE_BYTES_MAX:
                raw_key = self._raw(key)
                rows.append((raw_key,) + codec.encode_parts(value, raw_key) + (deadline_ms,))
            elif deadline_ms:
                frames.append(set_frame(raw_key, value_type, payload, deadline_ms))
            else:
                frames.append(pack(len(payload), len(raw_key), value_type, 0) + raw_key + payload)
        return frames, rows

    def update(self, *args, **kwargs):
        """Like dict.update, in one set_many."""
        self.set_many(dict(*args, **kwargs))

    def delete(self, *keys):
        """Remove keys; how many of them were there."""
        raw_keys = [self._raw(key) for key in keys]
        store = self._store
        if len(raw_keys) == 1 and store.live().lane is not None:
            frame = BODY.pack(0, len(raw_keys[0]), 0, layout.DELETE) + raw_keys[0]
            return store.call("set_frame", frame, again=True)
        return store.command(b"DEL", *raw_keys, again=True) if raw_keys else 0

    def __delitem__(self, key):
        if not self.delete(key):
            raise KeyError(key)

    def pop(self, key, default=_MISSING):
        """Remove a key and return its value, in one step: of all who pop it, one gets it.  KeyError as dict.pop."""
        raw_key = self._raw(key)
        reply = self._store.command(b"NOSQGRID.POP", raw_key)
        if reply is not None:
            return self._store.codec.decode(reply[0], reply[1], raw_key)
        if default is _MISSING:
            raise KeyError(key)
        return default

    def popitem(self):
        """Remove and return some pair.  Raises KeyError when there is none."""
        for key in self:
            value = self.pop(key, _MISSING)
            if value is not _MISSING:
                return key, value
        raise KeyError("popitem(): the grid is empty")

    def setdefault(self, key, default=None):
        """The value at the key, after storing `default` if there was none; in one step."""
        while True:
            value = self.get(key, _MISSING)
            if value is not _MISSING:
                return value
            if self.set(key, default, if_absent=True) is not None:
                return default

    def incr(self, key, by=1):
        """Add an int to the int at a key, which counts as 0 when absent; the sum.  A ttl stays.

        Raises NotANumberError where the value is no integer.
        """
        if isinstance(by, bool) or not isinstance(by, int):
            raise UsageError("incr adds an int, not %r" % (by,))
        return self._store.command(b"NOSQGRID.ADD", self._raw(key), by)

    def expire(self, key, seconds):
        """Let a key expire after so many seconds; whether it was there."""
        deadline_ms = deadline_ms_of(seconds)
        return bool(self._store.command(b"NOSQGRID.DEADLINE", self._raw(key), deadline_ms, again=True))

    def persist(self, key):
        """Let a key never expire; whether it was there."""
        return bool(self._store.command(b"NOSQGRID.DEADLINE", self._raw(key), 0, again=True))

    # -- all of them --------------------------------------------------------------------------------------------------

    def scan(self, prefix="", match=None):
        """Iterate over the keys (str) that begin with `prefix` and match a pattern of *, ?, [abc].

        A key that is there from the first step to the last is seen, exactly once; one that comes or goes meanwhile may
        be.  Cost: a walk of the whole index whatever the prefix, some 2 us a key, in steps that hold nobody up.
        """
        raw_prefix = self._raw_prefix + values.encode_key(prefix)
        pattern = None if match is None else Glob(values.encode_key(match))
        hidden, cursor = len(self._raw_prefix), 0
        while True:
            cursor, raw_keys = self._store.command(b"NOSQGRID.SCAN", cursor, SCAN_COUNT_DEFAULT, raw_prefix)
            for raw_key in raw_keys:
                if pattern is None or pattern.matches(raw_key[hidden:]):
                    yield values.decode_key(raw_key[hidden:])
            if cursor == 0:
                return

    def __iter__(self):
        return self.scan()

    def __len__(self):
        return sum(1 for _ in self.scan())

    def items(self):
        return _Items(self)

    def values(self):
        return _Values(self)

    def clear(self):
        """Remove every key."""
        for key in list(self):
            self.delete(key)

    # A grid equals itself: comparing contents would copy all of it.
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__


class _Chunks(object):
    """Frames as pieces of about CHUNK_BYTES: the coordinator applies one while the next is posted.

    Iterable again and again: a call that is repeated on the next coordinator needs them from the beginning.
    """

    def __init__(self, frames):
        self._frames = frames

    def __iter__(self):
        first, size = 0, 0
        for index, frame in enumerate(self._frames):
            if size + len(frame) > CHUNK_BYTES and index > first:
                yield b"".join(self._frames[first:index])
                first, size = index, 0
            size += len(frame)
        yield b"".join(self._frames[first:])
