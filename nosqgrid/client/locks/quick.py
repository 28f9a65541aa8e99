"""A lock that nobody has, and back, by frames whose result is a word of the lane (formats/lane): a third of the time.

What is not so simple is left to the steps (client/steps): a lock that somebody has, a coordinator that is gone, the
first lock after attaching.  Whatever interrupts a call, what its request was granted is taken back.
"""

import threading

from ...errors import CoordinatorLostError, NosqgridError
from ...formats import lane as layout
from .. import steps

ASK_IN_WORDS = None  # nothing is known: what was to be done is done by steps


def acquire(store, raw_name, deeper, granted):
    """Whether the lock was had, granted(reply) having been called as with the reply of LOCK.ACQUIRE; False where
    somebody has it; ASK_IN_WORDS.  Raises as LOCK.ACQUIRE does.
    """
    attachment, links = store.attachment, store.links
    if not _is_ready(attachment) or not links.may_own(attachment):
        return ASK_IN_WORDS
    number = links.next_request()
    try:
        result = attachment.set_frame(layout.pack_lock(raw_name, number, b"%d" % threading.get_ident(), deeper))
        if not result:
            return False
        granted((result & ~layout.LOCK_ABANDONED, result & layout.LOCK_ABANDONED, 1))
        return True
    except CoordinatorLostError:
        links.owe([b"LOCK.UNDO", number])
        return ASK_IN_WORDS
    except NosqgridError:
        raise  # nothing was granted
    except BaseException:
        steps.perform(store, steps.Call([b"LOCK.UNDO", number], late=True))
        raise


def release(store, grant):
    """Whether it was given back; ASK_IN_WORDS.  Raises as LOCK.RELEASE does."""
    attachment = store.attachment
    if not _is_ready(attachment):
        return ASK_IN_WORDS
    try:
        attachment.set_frame(layout.pack_unlock(grant.name, grant.token))
    except CoordinatorLostError:
        return ASK_IN_WORDS
    return True


def _is_ready(attachment):
    return attachment.ready or attachment.lane is not None and attachment.usable()  # 3.6 has no hook for forks
