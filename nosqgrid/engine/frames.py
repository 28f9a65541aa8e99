"""Lane frames (formats/lane) applied to the keyspace, one at a time: the plain way, for every operation.

A frame comes from a client: `frame_end` checks every length in it before anything else is read.  `context` is what
commands get (engine/commands), and its `run(words)` runs one.
"""

from ..errors import BatchError, CommandError, LaneError, NosqgridError
from ..formats import lane, records
from ..formats.resp_whole import decode_command
from ..formats.values import NAMES
from ..limits import BATCH_COMMANDS_MAX, KEY_SIZE_BYTES_MAX, LOCK_TEXT_BYTES_MAX

_TYPE_MAX = len(NAMES) - 1
_OF_LOCKS = frozenset((lane.LOCK, lane.UNLOCK))


def frame_end(data, position, end):
    """Where the frame at `position` of `data` ends, or 0 when it is not whole by `end`.

    Raises LaneError for a frame that no client of ours would write.
    """
    if position + records.BODY.size > end:
        return 0
    value_length, key_length, value_type, flags = records.BODY.unpack_from(data, position)
    operation = flags & lane.OPERATION_MASK
    if (flags & records.CHECKED or operation not in lane.OPERATIONS
            or flags & records.EXPIRES and operation != lane.SET):
        raise LaneError("a frame with flags %d" % flags)
    if key_length > KEY_SIZE_BYTES_MAX or value_type > _TYPE_MAX:
        raise LaneError("a frame with a key of %d bytes and type %d" % (key_length, value_type))
    if (operation == lane.DELETE and value_length or operation in (lane.COMMAND, lane.BATCH) and key_length
            or operation in _OF_LOCKS and _is_no_lock(operation, value_length, value_type)):
        raise LaneError("a frame of operation %d with %d and %d bytes" % (operation, key_length, value_length))
    stop = position + records.body_size_bytes(key_length, value_length, flags)
    return stop if stop <= end else 0


def _is_no_lock(operation, value_length, value_type):
    if operation == lane.UNLOCK:
        return value_length != lane.LOCK_NUMBER.size or value_type
    return value_type > lane.LOCK_DEEPER or not 0 <= value_length - lane.LOCK_NUMBER.size <= LOCK_TEXT_BYTES_MAX


def operation_of(data, position):
    return data[position + records.BODY.size - 1] & lane.OPERATION_MASK


def apply_frame(context, data, position, stop):
    """Apply the frame between two positions, which frame_end() has checked; its reply object.

    SET gives the version, DELETE 1 or 0, COMMAND what the command replies, BATCH the list of its replies, LOCK and
    UNLOCK what formats/lane says.
    Raises NosqgridError; nothing was changed then.
    """
    operation = operation_of(data, position)
    if operation == lane.SET:
        return _apply_set(context.keyspace, data, position, stop)
    if operation == lane.DELETE:
        return int(context.keyspace.delete(data[position + records.BODY.size:stop]))
    if operation == lane.COMMAND:
        return _apply_command(context, data[position + records.BODY.size:stop])
    if operation in _OF_LOCKS:
        return _apply_lock(context, operation, data, position, stop)
    return apply_batch(context, data[position + records.BODY.size:stop])


def _apply_lock(context, operation, data, position, stop):
    if context.keyspace.staging:
        raise CommandError("a lock cannot be part of a batch, which may be taken back: LOCK.CHECK is for batches")
    _, key_length, value_type, _ = records.BODY.unpack_from(data, position)
    start = position + records.BODY.size
    key_end = start + key_length
    number, = lane.LOCK_NUMBER.unpack_from(data, key_end)
    locks, name = context.server.locks, data[start:key_end]
    if operation == lane.UNLOCK:
        return locks.release(context.session, name, number)
    thread = data[key_end + lane.LOCK_NUMBER.size:stop]
    return locks.acquire_now(context.session, name, number, thread, bool(value_type))


def _apply_set(keyspace, data, position, stop):
    value_length, key_length, _, flags = records.BODY.unpack_from(data, position)
    start = position + records.BODY.size
    if flags & records.EXPIRES:
        deadline_ms, = records.DEADLINE.unpack_from(data, start)
        if not 0 < deadline_ms < 1 << 63:
            raise CommandError("a deadline of %d ms" % deadline_ms)
        start += records.DEADLINE.size
    keyspace.check_sizes(key_length, value_length)
    return keyspace.store_frame(data[start:start + key_length], data[position:stop])


def _apply_command(context, command):
    words = decode_command(command)
    if words is None:
        raise LaneError("a frame that holds no whole command, or more than one")
    return context.run(words)


def apply_batch(context, data):
    """Apply a sequence of frames together or not at all; the list of their replies.

    Raises BatchError, with the position of the frame that failed and its error as the cause; LaneError for bytes that
    are not frames.
    """
    keyspace = context.keyspace
    if keyspace.staging:
        raise CommandError("a batch within a batch")
    replies, position, end = [], 0, len(data)
    keyspace.begin()
    try:
        while position < end:
            stop = frame_end(data, position, end)
            if not stop or operation_of(data, position) == lane.BATCH or len(replies) >= BATCH_COMMANDS_MAX:
                raise LaneError("a batch whose frames are not whole, nested or too many")
            replies.append(apply_frame(context, data, position, stop))
            position = stop
    except NosqgridError as error:
        keyspace.rollback()
        if isinstance(error, LaneError):
            raise
        raise BatchError("command %d of the batch failed, none was applied: %s %s" % (len(replies), error.code, error),
                         len(replies)) from error
    except BaseException:
        keyspace.rollback()
        raise
    keyspace.commit()
    return replies
