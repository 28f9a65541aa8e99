"""Telling a program that it has lost a lock: one thread for each lock that asks for it.

Clients have no threads otherwise (docs/decisions/0010): this one is there only for a lock with on_lost, waits in the
kernel over a connection of its own, and ends with the lock.  A coordinator that is restarted may know of the lock
(docs/locks.md), so its end is not the lock's: the thread asks the next one, for as long as a call waits for an answer.
"""

import contextlib
import threading
import time

from ...errors import CoordinatorError, NosqgridError
from ..link import Link

_RELEASED = b"released"
_RETRY_S = 0.05


def watch(store, grant, on_lost):
    """Have on_lost(reason) called, in a thread, when this grant ends otherwise than by its release."""
    threading.Thread(target=_wait, args=(store.address, store.timeout_s, grant, on_lost), daemon=True,
                     name="nosqgrid lock %s" % grant.name.decode("utf-8", "replace")).start()


def _wait(address, timeout_s, grant, on_lost):
    reason = _end_of(address, timeout_s, grant)
    if grant.ended:
        return  # the program gave it back, or has been told by that
    if reason == _RELEASED:
        reason = b"the coordinator that knew of it is gone"
    grant.lost = reason.decode("utf-8", "replace")
    on_lost(grant.lost)


def _end_of(address, timeout_s, grant):
    """Wait until the grant is over; why it is."""
    give_up = time.monotonic() + timeout_s
    while True:
        try:
            with contextlib.closing(Link(address, timeout_s)) as link:
                give_up = time.monotonic() + timeout_s
                return link.command(b"LOCK.WATCH", grant.name, grant.token, timeout_s=0)
        except CoordinatorError as error:
            if time.monotonic() > give_up or grant.ended:
                return str(error).encode("utf-8", "replace")
        except NosqgridError as error:
            return str(error).encode("utf-8", "replace")
        time.sleep(_RETRY_S)
