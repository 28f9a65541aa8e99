"""Signed pickles: the payload of type PICKLE, for grids opened with the pickle codec, and the key that signs them.

    offset  size
    0       1     version of this layout: 1
    1       1     pickle protocol: 4 or 5
    2       2     zeros
    4       4     number of buffers
    8       8     length of the pickle
    16      32    HMAC-SHA256
    48      8 n   length of each buffer
                  the pickle, then the buffers; each begins at a multiple of 64, with zeros in front

The buffers are what protocol 5 leaves outside of the pickle (PEP 574): the memory of numpy arrays, for one.  They are
written without a copy, and read as read-only memoryviews of the payload: an array inside of a value lies on the shared
memory.  Python 3.6 and 3.7 know no such buffers: they write protocol 4, which everybody reads, and name what they
cannot read.

Invariants
 1. Nothing is unpickled whose signature does not hold.  Signed are the raw key, so that a value under one name is
    refused under another; the head, the lengths of the buffers, and the pickle: everything that can name code.  Not
    told apart are an older value of the same name, and one of the same name in another grid.
 2. The buffers are not signed.  Reading 500 MB would take 0.3 to 2 s instead of 10 us, for what no array has that is
    stored without pickle: whoever may write the grid may put other numbers under any key.  They are data: pickle hands
    them to the classes that the signed pickle names, and takes no code from them.  A class that trusts its buffers
    (pyarrow believes the offsets in them) can be crashed by who replaces them, so that a grid whose writers are not all
    trusted is not one to be opened with pickle.
 3. The key never enters the grid.  It is a file of 32 bytes that only its user can read, so that no other user's pickle
    is ever loaded; of several processes that make it at once, one wins and all use that one.  A kill while it is made
    leaves at most a file with a random name beside it.

numpy hands out the memory of every array that is contiguous, but for datetime64, timedelta64 and objects, which travel
inside of the pickle and come back as writable copies (numpy 1.24 to 2.5).

pandas keeps the columns of one dtype in a block, and hands out what numpy does.  Seen with 2.0 and 3.1: the blocks of
int, float and bool, Categorical codes, and the values and masks of Int64 and its like come back on the shared memory,
read-only, and so does an Index of numbers.  Dates (columns and DatetimeIndex), strings and objects are copies.  A frame
on read-only blocks refuses df.iloc[0, 0] = 1 and takes new columns; df.copy() can be written.
"""

import contextlib
import hashlib
import hmac
import os
import pickle
import secrets
import stat
import struct

from ..errors import CorruptValueError, UnsupportedTypeError, UsageError
from ..formats.buffers import ALIGNMENT_BYTES, read_only

KEY_SIZE_BYTES = 32
KEY_VARIABLE = "NOSQGRID_PICKLE_KEY"

_HEAD = struct.Struct("<BBHIQ")
_VERSION = 1
_MAC_SIZE_BYTES = 32
_TABLE_OFFSET = _HEAD.size + _MAC_SIZE_BYTES
_DOMAIN = b"nosqgrid pickle 1\0"  # no other use of the same key can be taken for this one
_HAS_BUFFERS = hasattr(pickle, "PickleBuffer")  # Python 3.8


# -- values -----------------------------------------------------------------------------------------------------------


def dumps(value, raw_key, secret):
    """The parts (bytes-like objects, of bytes) of the signed pickle of a value that will lie under raw_key.

    The memory of arrays and other buffers is not copied, so that the value must not change until the parts have been
    written.

    Raises:
        UnsupportedTypeError: pickle cannot carry it (a lambda, a lock, a class inside of a function).
    """
    protocol, stream, raws = _pickle(value)
    head = _HEAD.pack(_VERSION, protocol, 0, len(raws), len(stream))
    table = struct.pack("<%dQ" % len(raws), *map(len, raws))
    first = head + _mac(secret, raw_key, head, table, stream) + table
    parts = [first + _padding(len(first)) + stream]
    offset = len(parts[0])
    for raw in raws:
        if len(raw):
            padding = _padding(offset)
            if padding:
                parts.append(padding)
            parts.append(raw)
            offset += len(padding) + len(raw)
    return parts


def _pickle(value):
    """(protocol, pickle, buffers outside of it)."""
    raws = []
    try:
        if _HAS_BUFFERS:
            return 5, pickle.dumps(value, 5, buffer_callback=lambda buffer: raws.append(buffer.raw())), raws
        return 4, pickle.dumps(value, 4), raws
    except MemoryError:
        raise
    except Exception as error:  # anything that a __reduce__ raises
        raise UnsupportedTypeError("cannot pickle a value of type %s: %s"
                                   % (type(value).__qualname__, error)) from error


def loads(payload, raw_key, secret):
    """The value of a payload (bytes, or a memoryview of bytes) that lies under raw_key.

    Buffers in it are read-only, lie on the payload and keep it alive.

    Raises:
        CorruptValueError: it is no signed pickle, was signed with another key of another user, or lay under another
            name; nothing has been unpickled.
        UnsupportedTypeError: this Python cannot read it, or what it names cannot be imported or made here.
    Cost: that of pickle, and of SHA-256 and a copy of the pickle (not of the buffers); 5 us for a small value.
    """
    view = read_only(payload)
    if len(view) < _TABLE_OFFSET:
        raise CorruptValueError("a stored pickle is shorter than its head (%d bytes)" % len(view))
    head = bytes(view[:_HEAD.size])
    version, protocol, zeros, count, stream_length = _HEAD.unpack(head)
    if version != _VERSION or zeros or protocol not in (4, 5):
        raise CorruptValueError("a stored pickle has version %d and protocol %d, which are unknown here; was it written"
                                " by a newer nosqgrid?" % (version, protocol))
    table_end = _TABLE_OFFSET + 8 * count
    start = table_end + len(_padding(table_end))
    if start + stream_length > len(view):
        raise CorruptValueError("a stored pickle ends before its announced length")
    # Copies: what is loaded must be what was verified, even where somebody can still write the memory.
    table, stream = bytes(view[_TABLE_OFFSET:table_end]), bytes(view[start:start + stream_length])
    if not hmac.compare_digest(_mac(secret, raw_key, head, table, stream), bytes(view[_HEAD.size:_TABLE_OFFSET])):
        raise CorruptValueError("the signature of a stored pickle does not hold, and it was not loaded: it was made"
                                " with another key file (another user or %s), stored under another name, or changed"
                                % KEY_VARIABLE)
    raws = _buffers(view, start + stream_length, struct.unpack("<%dQ" % count, table))
    return _unpickle(protocol, stream, raws)


def _buffers(view, offset, lengths):
    raws = []
    for length in lengths:
        if length:
            offset += len(_padding(offset))
        raws.append(view[offset:offset + length])
        offset += length
        if offset > len(view):
            break
    if offset != len(view):
        raise CorruptValueError("a stored pickle has other buffers than it announces: it was cut off or changed")
    return raws


def _unpickle(protocol, stream, raws):
    if protocol == 5 and not _HAS_BUFFERS:
        raise UnsupportedTypeError("stored is a pickle of Python 3.8 or newer (protocol 5), which this Python cannot"
                                   " read; store it from Python 3.7 or older")
    try:
        if _HAS_BUFFERS:
            return pickle.loads(stream, buffers=raws)
        return pickle.loads(stream)
    except MemoryError:
        raise
    except Exception as error:  # anything that an import or a constructor raises
        raise UnsupportedTypeError("a stored pickle cannot be loaded here: %s: %s"
                                   % (type(error).__name__, error)) from error


def _mac(secret, raw_key, head, table, stream):
    """Each part is preceded or fixed by a length, so that no byte can be moved from one into another."""
    made = hmac.new(secret, _DOMAIN + struct.pack("<I", len(raw_key)) + raw_key, hashlib.sha256)
    made.update(head)
    made.update(table)
    made.update(stream)
    return made.digest()


def _padding(offset):
    return bytes(-offset % ALIGNMENT_BYTES)


# -- the key ----------------------------------------------------------------------------------------------------------


def key_path():
    """$NOSQGRID_PICKLE_KEY, or nosqgrid/pickle.key below $XDG_CONFIG_HOME or ~/.config."""
    named = os.environ.get(KEY_VARIABLE)
    if named:
        return os.path.abspath(named)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    if not os.path.isabs(home):
        raise UsageError("there is no home directory for the pickle key: set %s to the path of a file" % KEY_VARIABLE)
    return os.path.join(home, "nosqgrid", "pickle.key")


def load_key(path=None):
    """The 32 bytes of the key, made on first use.

    Raises:
        UsageError: the file or its directory could be read or replaced by other users, is a symbolic link, is no key,
            or cannot be made; the message says what to do.
    """
    path = key_path() if path is None else path
    try:
        return _read_key(path)
    except FileNotFoundError:
        _make_key(path)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        return _read_key(path)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path, error):
    reason = "it is a symbolic link" if os.path.islink(path) else error.strerror or error
    return UsageError("the pickle key %s cannot be used: %s; set %s to the path of another file"
                      % (path, reason, KEY_VARIABLE))


def _read_key(path):
    _check_directory(os.path.dirname(path))
    # O_NOFOLLOW: a link could name a file of somebody who can change it.  O_NONBLOCK: do not wait for a FIFO's writer.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise UsageError("the pickle key %s is not a file of this user (uid %d), so that others could sign pickles"
                             % (path, os.geteuid()))
        if found.st_mode & 0o077:
            raise UsageError("the pickle key %s can be used by others (mode %03o): if it has never been, chmod 600 it;"
                             " else remove it, and a new one is made" % (path, stat.S_IMODE(found.st_mode)))
        key = os.read(fd, KEY_SIZE_BYTES + 1)
    finally:
        os.close(fd)
    if len(key) != KEY_SIZE_BYTES:
        raise UsageError("the pickle key %s does not have %d bytes; remove it, and a new one is made"
                         % (path, KEY_SIZE_BYTES))
    return key


def _check_directory(directory):
    """Who can write the directory can put another key into it."""
    found = os.stat(directory)
    if found.st_uid not in (os.geteuid(), 0) or found.st_mode & 0o022:
        raise UsageError("the directory %s of the pickle key can be written by others: chmod 700 it, or set %s to the"
                         " path of a file elsewhere" % (directory, KEY_VARIABLE))


def _make_key(path):
    """Put a new key there unless there is one: written under another name first, so that no reader finds half a key."""
    directory = os.path.dirname(path)
    made = os.path.join(directory, ".pickle.key.%s" % secrets.token_hex(8))
    try:
        for made_if_missing in (os.path.dirname(directory), directory):  # the mode is that of the last one alone
            os.makedirs(made_if_missing, 0o700, exist_ok=True)
        _check_directory(directory)
        fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, secrets.token_bytes(KEY_SIZE_BYTES))
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            with contextlib.suppress(FileExistsError):  # another process was faster, and its key is the one
                os.link(made, path)
        finally:
            os.unlink(made)
    except OSError as error:
        raise _unusable(path, error) from error
