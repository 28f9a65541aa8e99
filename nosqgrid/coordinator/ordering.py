"""Whether this machine shows stores to other processors in the order they were made, and what to do where it does not.

x86 does (total store order), and nothing is needed.  Elsewhere records carry a checksum, and between the record and the
slot word that publishes it stands the strongest fence that Python has: releasing and acquiring a lock, which on every
platform of CPython are a release and an acquire barrier.
"""

import os
import platform
import threading

from ..formats.arena import WEAK_ORDERING

_STRONG = ("x86_64", "amd64", "i686", "i386")


def fence_for(machine=None):
    """(flags for the arena header, fence function or None) for a machine, this one by default."""
    if (machine or platform.machine()).lower() in _STRONG:
        return 0, None
    lock = threading.Lock()

    def fence():
        with lock:
            return

    return WEAK_ORDERING, fence


def cpu_count():
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
