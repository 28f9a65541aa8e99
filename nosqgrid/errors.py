"""Every exception nosqgrid raises, grouped by who erred.

    NosqgridError
      CallerError         the call was wrong; nothing was changed
      CoordinatorError    the coordinator is gone, full, silent, or could not start
      StorageError        the disk, or a file on it
      PeerError           the other end of a socket or lane broke the protocol
      InvariantError      nosqgrid itself is wrong: please report it

Each class carries `code`, the first word of the RESP error it travels as, so that a client in any language can branch
on it and `from_resp` can turn a reply back into the class that caused it.  Where Python has a standard exception for
the same mistake (TypeError, ValueError, TimeoutError, ConnectionError) the class is also one of those.  A message says
what was wrong, with which value, and what to do about it.
"""

import threading


class NosqgridError(Exception):
    """Root of the tree; never raised itself."""

    code = "ERR"


# -- the caller erred -------------------------------------------------------------------------------------------------


class CallerError(NosqgridError):
    """The call cannot be carried out as asked; nothing was changed."""


class UsageError(CallerError, ValueError):
    """An argument has a value that can never work (a negative limit, a malformed address, a conflicting option)."""


class UnsupportedTypeError(CallerError, TypeError):
    """A key is neither str nor bytes, or a value has a type the codec does not carry."""

    code = "BADTYPE"


class KeyTooLargeError(CallerError, ValueError):
    """A key is longer than limits.KEY_SIZE_BYTES_MAX."""

    code = "KEYTOOLARGE"


class ValueTooLargeError(CallerError, ValueError):
    """An encoded value is larger than this grid accepts (limits.value_size_bytes_max(memory))."""

    code = "VALUETOOLARGE"


class WrongTypeError(CallerError, TypeError):
    """The operation does not fit the type of the value stored at the key."""

    code = "WRONGTYPE"


class NotANumberError(CallerError, ValueError):
    """The stored value, or the result, is not a number the operation can work with."""

    code = "NOTANUMBER"


class ClosedError(CallerError):
    """The grid was closed by this program; attach again."""

    code = "CLOSED"


class SharedObjectGoneError(CallerError, LookupError):
    """A Ref stands for an object that nobody held any more, or whose coordinator has ended."""

    code = "SHAREDGONE"


class ComputationCycleError(CallerError, RuntimeError):
    """get_or_compute was asked, inside the computation of a key, to compute the same key."""

    code = "CYCLE"


class DeadlockError(CallerError, RuntimeError):
    """Waiting for this lock would never end: whoever holds it waits, directly or through others, for the caller."""

    code = "DEADLOCK"


class LockLostError(CallerError, RuntimeError):
    """The lock is not held any more: its lease ended, it was taken away by force, or its session ended."""

    code = "LOCKLOST"


class FencedError(CallerError, RuntimeError):
    """A guarded write came from somebody who does not hold the lock any more; nothing was written."""

    code = "FENCED"


class BrokenBarrierError(CallerError, threading.BrokenBarrierError):
    """The barrier is broken: somebody gave up waiting, died, or aborted it."""

    code = "BROKENBARRIER"


class StaleReceiptError(CallerError, RuntimeError):
    """The job is not this worker's any more: its time ended, it was given to another, or it is finished."""

    code = "STALE"


class UnknownJobError(CallerError, LookupError):
    """No queue has a job with this id, or its outcome is not kept any more."""

    code = "NOJOB"


class JobFailedError(CallerError, RuntimeError):
    """The job failed for good; the message is the error of its last attempt."""

    code = "JOBFAILED"


class JobCancelledError(CallerError, RuntimeError):
    """The job was cancelled."""

    code = "JOBCANCELLED"


class CursorLostError(CallerError, LookupError):
    """A cursor tells nothing any more: the topic, or what keeps the events, began anew since or is gone."""

    code = "CURSORLOST"


class PermissionRefusedError(CallerError, PermissionError):
    """This user may not do that here."""

    code = "NOPERM"


class CommandError(CallerError):
    """The coordinator refused a command (unknown name, wrong number of arguments, bad syntax, out of range)."""


class BatchError(CallerError):
    """One command of an atomic batch failed, so that none was applied.

    `index` is its position in the batch, counted from 0, and `__cause__` the error it raised.
    """

    code = "BATCHABORT"

    def __init__(self, message, index=None):
        super().__init__(message)
        self.index = index


# -- the coordinator cannot serve -------------------------------------------------------------------------------------


class CoordinatorError(NosqgridError):
    """The coordinator could not do it."""


class GridFullError(CoordinatorError, MemoryError):
    """The live data and this write do not fit into the configured memory; deleting makes room again."""

    code = "OOM"


class CoordinatorLostError(CoordinatorError, ConnectionError):
    """The connection to the coordinator ended.  Reads go on from the last state; the outcome of the call is unknown."""

    code = "LOST"


class CoordinatorTimeoutError(CoordinatorError, TimeoutError):
    """The coordinator lives but did not answer in time; the outcome of the call is unknown."""

    code = "TIMEOUT"


class NotServedError(CoordinatorError, ConnectionError):
    """Nobody serves the address: no socket, a stale one, or a directory that is not there."""

    code = "NOTSERVED"


class StartError(CoordinatorError):
    """A coordinator could not start; the message says what to change."""

    code = "START"


class AlreadyServedError(StartError):
    """Another coordinator serves this socket."""

    code = "ALREADYSERVED"


# -- the disk erred ---------------------------------------------------------------------------------------------------


class StorageError(NosqgridError):
    """A durable file or directory cannot be used."""

    code = "STORAGE"


class DiskError(StorageError, OSError):
    """The system refused a file operation.  A write that raises it was not applied; after a failed sync it may be there
    again after a restart, and the message says so.

    `full` tells that there was no room, which may pass; `errno` is the system's number for the reason.
    """

    code = "DISK"
    full = False


class CorruptFileError(StorageError):
    """A file holds something that was never written to it, or lacks what is known to have been.

    `path` and `offset` tell where.
    """

    code = "CORRUPTFILE"

    def __init__(self, message, path=None, offset=None):
        super().__init__(message)
        self.path = path
        self.offset = offset


# -- the peer erred ---------------------------------------------------------------------------------------------------


class PeerError(NosqgridError):
    """The other end sent something that is not the protocol."""


class ProtocolError(PeerError):
    """Bytes on a socket are not RESP, or break a limit."""

    code = "ERR"


class LaneError(PeerError):
    """Words or frames in a lane make no sense."""

    code = "LANE"


class FormatVersionError(PeerError):
    """The other side speaks another version of the arena, lane or record format; use the same nosqgrid on both."""

    code = "FORMATVERSION"


class CorruptValueError(PeerError, ValueError):
    """Stored bytes do not decode as the type they are marked with."""

    code = "CORRUPT"


# -- nosqgrid erred ---------------------------------------------------------------------------------------------------


class InvariantError(NosqgridError, AssertionError):
    """A structure is not what its invariants say.  Raised, not asserted: python -O must not remove it."""

    code = "INVARIANT"


def _classes_by_code(root=NosqgridError):
    found = {}
    pending = [root]
    while pending:
        cls = pending.pop()
        pending.extend(cls.__subclasses__())
        if cls.code != "ERR":
            found[cls.code] = cls
    return found


BY_CODE = _classes_by_code()


def from_resp(text):
    """The exception for the text of a RESP error reply ("CODE message"); CommandError where the code is nobody's.

    >>> error = from_resp("OOM the grid is full")
    >>> type(error).__name__, str(error)
    ('GridFullError', 'the grid is full')
    """
    code, _, message = text.partition(" ")
    cls = BY_CODE.get(code)
    if cls is None:
        return CommandError(text[4:] if code == "ERR" else text)
    return cls(message)
