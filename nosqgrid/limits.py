"""Every numeric limit, with its unit; the relations between them are checked when the module is imported.

Limits that a user may change are arguments of `serve` and `attach`; what stands here are their defaults and the bounds
within which anything may be asked for.
"""

from .errors import InvariantError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# -- keys, values, records -----------------------------------------------------------------------------------------
KEY_SIZE_BYTES_MAX = 32 * KIB - 1  # a record header has 16 bits for it; 0xFFFF must stay impossible (formats/arena)
VALUE_SIZE_BYTES_MAX = 64 * MIB  # of an encoded value in heap, log or socket; a quarter of the heap where that is less
LARGE_VALUE_BYTES_MIN = 128 * KIB  # from here on, or from a quarter segment, a value has a file of its own in memory
LARGE_SIZE_BYTES_MAX = 1 << 40
INT_DIGITS_MAX = 4096  # of a stored int: CPython 3.10.7+ refuses to parse more than 4300 digits (CVE-2020-10735)
FLOAT_TEXT_BYTES_MAX = 512  # of a stored float: 309 digits before the point, whatever Redis clients write behind it
HASH_COLLISIONS_MAX = 1000  # elements of one hash() in a stored set or dict: building one takes their square
BUFFER_DESCRIPTION_BYTES_MAX = 256 * KIB  # of a stored array's dtype and shape: some 8000 fields
VALUE_DEPTH_MAX = 64  # nesting of lists, tuples, dicts and sets in one value
TTL_MS_MAX = 10 ** 15  # 31,700 years: absolute deadlines stay far inside 63 bits

# -- memory --------------------------------------------------------------------------------------------------------
MEMORY_BYTES_DEFAULT = 256 * MIB
MEMORY_BYTES_MIN = 1 * MIB
MEMORY_BYTES_MAX = 16 * GIB  # slot words address 32 GiB of arena in 8-byte units, index areas included
SEGMENT_SIZE_BYTES_MAX = 1 * MIB
SEGMENT_SIZE_BYTES_MIN = 64 * KIB
SEGMENT_COUNT_MIN = 16  # of a heap, whatever its size: the cleaner needs room to move
SEGMENT_COUNT_GOOD = 64  # with so many, what is open or kept for the cleaner is a small part (decision 21)
RESERVE_STEP_BYTES = 4 * MIB  # how much memory is asked of the system at a time (1-2 ms on a slow machine)
INDEX_SLOTS_INITIAL = 4096
INDEX_OVERFLOW_SLOTS = 1024  # behind the last home position, so that probing never wraps around
INDEX_LOAD_MAX = 0.6  # used slots (live and tombstone) over slots, at which the index is rebuilt

# -- lanes and sockets ---------------------------------------------------------------------------------------------
LANE_REQUEST_BYTES = 256 * KIB
LANE_REPLY_BYTES = 64 * KIB
LANE_PINS_MAX = 4096  # views, large values and references that one process keeps in use at a time
LANE_FRAME_BYTES_MAX = 80 * KIB  # a larger command travels over the socket; the coordinator takes 96 KiB at a time
SPIN_US_COORDINATOR = 60  # of polling after the last work, before sleeping
CALL_TIMEOUT_S = 30.0  # how long a call waits for a coordinator that lives but does not answer
SOCKET_PATH_BYTES_MAX = 100  # sun_path has 108 on Linux and 104 elsewhere
CLIENTS_MAX = 10000
STRANGERS_MAX = 128  # connections by TCP that have not logged in, where that is asked for; beyond, the oldest goes
STRANGER_TIMEOUT_S = 30.0  # by when they have to; people type their password
STRANGER_ARGUMENTS_MAX = 10  # of one command of theirs
STRANGER_ARGUMENT_BYTES_MAX = 16 * KIB
STRANGER_COMMAND_BYTES_MAX = 64 * KIB
STRANGER_OUTPUT_BYTES_MAX = 64 * KIB  # waiting for one who does not read
LISTEN_BACKLOG = 511  # connections waiting to be accepted; the system may allow fewer (net.core.somaxconn)
RESP_ARGUMENTS_MAX = 1024 * KIB  # of one command
RESP_ARGUMENT_BYTES_MAX = VALUE_SIZE_BYTES_MAX + KIB
RESP_INLINE_BYTES_MAX = 64 * KIB  # of an inline command, its newline included
RESP_LINE_BYTES_MAX = 64 * KIB  # of one header line; nothing legal comes near
RESP_REPLY_ELEMENTS_MAX = 2 ** 31 - 1  # of one aggregate; a reader keeps only what has really arrived
RESP_DEPTH_MAX = 32  # nesting of aggregates in one reply
SCAN_COUNT_MAX = 10 * 1000  # elements that one step of SCAN looks at, whatever COUNT asks for
RANDOM_PICKS_MAX = 1000 * 1000  # elements that one command chooses at random with repetition
GLOB_PATTERN_BYTES_MAX = 128 * KIB
GLOB_SETS_MAX = 1024  # "[...]" in one pattern; each costs up to 256 steps when the pattern is prepared
QUERY_BUFFER_BYTES_MAX = 128 * MIB  # of one command being received
OUTPUT_BUFFER_BYTES_MAX = 128 * MIB  # waiting for a client that does not read; beyond, it is disconnected
PUSHED_BYTES_MAX = 32 * MIB  # of messages waiting for one who subscribed and does not read; beyond, he is disconnected
PARTIAL_COMMAND_TIMEOUT_S = 30.0  # a command begun must be whole by then
BATCH_COMMANDS_MAX = 1000 * 1000

# -- locks ---------------------------------------------------------------------------------------------------------
LOCK_GRANTS_MAX = 200 * 1000  # locks held at a time; some 1 KB each
LOCKS_ABANDONED_MAX = 50 * 1000  # of which it is remembered that nobody gave them back; beyond, the oldest is forgotten
LOCK_REASONS_MAX = 10 * 1000  # grants of which it is remembered why they ended
LOCK_NAMES_MAX = 1000  # of one multilock
LOCK_UNITS_MAX = 1 << 31  # of a semaphore, and parties of a barrier
LOCK_TEXT_BYTES_MAX = 1 * KIB  # of what a holder says about itself, and of a reason
MEETINGS_MAX = 100 * 1000  # events that are set, latches that are open, barriers that are broken: of each
RECOVERY_GRACE_S = 5.0  # for which the holders of locks may come back to a coordinator that was restarted

# -- files ---------------------------------------------------------------------------------------------------------
LOG_ENTRY_BYTES_MAX = 1 * GIB - 1  # of the effects of one batch
LOG_SEGMENT_BYTES = 64 * MIB  # after which the log goes on in a new file
CHECKPOINT_BLOCK_BYTES = 1 * MIB  # of records before a block is closed; one record may be longer
CHECKPOINT_BLOCK_BYTES_MAX = 2 * GIB - 1
CHECKPOINT_LOG_SIZE_BYTES_DEFAULT = 64 * MIB  # of log, or the size of the last checkpoint if that is more
CHECKPOINT_EVERY_S_DEFAULT = 3600.0  # with a log; without one it is all there is:
CHECKPOINT_EVERY_S_WITHOUT_LOG = 300.0
SYNC_EVERY_S = 1.0  # durability everysec
DISK_RETRY_S = 1.0  # between the first attempts to get over a failed sync; each time twice as long, up to:
DISK_RETRY_S_MAX = 8.0

# -- clients -------------------------------------------------------------------------------------------------------
NEAR_CACHE_BYTES_DEFAULT = 16 * MIB
NEAR_CACHE_ENTRY_OVERHEAD_BYTES = 350  # measured: tuple, ints, dict slot and key beside the value
NEAR_CACHE_VALUE_BYTES_MAX = 64 * KIB  # larger values are copied out of the arena each time
VIEW_BYTES_MIN = 16 * KIB  # a smaller value is copied when it is viewed: a map costs more
SHARE_GRACE_S = 30.0  # for which a reference that was pickled keeps what it stands for
SCAN_COUNT_DEFAULT = 512


def segment_size_bytes(memory_bytes):
    """Size of a heap segment for a heap of so many bytes: a power of two within the bounds, 1/64 of it if possible."""
    size = SEGMENT_SIZE_BYTES_MIN
    while size < SEGMENT_SIZE_BYTES_MAX and size * 2 * SEGMENT_COUNT_GOOD <= memory_bytes:
        size *= 2
    return size


def large_value_bytes(segment_bytes):
    """From which size on a value does not lie in the heap."""
    return max(LARGE_VALUE_BYTES_MIN, segment_bytes // 4)


def value_size_bytes_max(memory_bytes):
    """The largest encoded value that a grid with so much memory accepts."""
    return min(VALUE_SIZE_BYTES_MAX, memory_bytes // 4)


def _require(condition, what):
    if not condition:
        raise InvariantError("limits contradict each other: " + what)


_require(KEY_SIZE_BYTES_MAX < 0xFFFF, "a key length must never read as the guard pattern")
_require(VALUE_SIZE_BYTES_MAX < 1 << 31, "a value length has 32 bits")
_require(LARGE_VALUE_BYTES_MIN > LANE_FRAME_BYTES_MAX, "what fits into a lane is not large")
_require(MEMORY_BYTES_MIN >= SEGMENT_SIZE_BYTES_MIN * SEGMENT_COUNT_MIN, "the least memory holds the least segments")
_require(LANE_FRAME_BYTES_MAX * 2 <= LANE_REQUEST_BYTES, "two frames fit into a lane")
_require(KEY_SIZE_BYTES_MAX < LANE_FRAME_BYTES_MAX // 2, "a key fits into a frame")
_require(RESP_ARGUMENT_BYTES_MAX <= QUERY_BUFFER_BYTES_MAX, "a value fits into the query buffer")
_require(VALUE_SIZE_BYTES_MAX <= OUTPUT_BUFFER_BYTES_MAX, "a value fits into the output buffer")
_require(LOG_ENTRY_BYTES_MAX > QUERY_BUFFER_BYTES_MAX + 2 * VALUE_SIZE_BYTES_MAX, "a batch fits into a log entry")
_require(CHECKPOINT_BLOCK_BYTES_MAX > LOG_ENTRY_BYTES_MAX, "a log entry fits into a block")
_require(INDEX_LOAD_MAX < 0.75, "linear probing stays short")
