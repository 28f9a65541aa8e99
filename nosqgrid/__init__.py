"""nosqgrid: a data grid in shared memory for the processes of one machine, in plain Python.

    python3 -m nosqgrid serve --socket /tmp/me/nosq.sock        # one terminal

    import nosqgrid                                             # any number of programs
    grid = nosqgrid.attach("/tmp/me/nosq.sock")
    grid["user:1"] = {"name": "Ada"}
    print(grid["user:1"])

Public names stand here; where they come from may change.
"""

from .client.grid import CheckpointInfo, Grid, attach, open
from .client.workers.running import current_job
from .errors import (BatchError, BrokenBarrierError, ClosedError, ComputationCycleError, CoordinatorLostError,
                     CoordinatorTimeoutError, CorruptFileError, CursorLostError, DeadlockError, DiskError, FencedError,
                     GridFullError, JobCancelledError, JobFailedError, KeyTooLargeError, LockLostError, NosqgridError,
                     NotServedError, PermissionRefusedError, StaleReceiptError, StartError, StorageError,
                     UnknownJobError, UnsupportedTypeError, UsageError, ValueTooLargeError)

__version__ = "0.1.0"
__all__ = ["CheckpointInfo", "Grid", "attach", "current_job", "open", "BatchError", "BrokenBarrierError", "ClosedError",
           "ComputationCycleError", "CoordinatorLostError", "CoordinatorTimeoutError", "CorruptFileError",
           "CursorLostError", "DeadlockError", "DiskError", "FencedError", "GridFullError", "JobCancelledError",
           "JobFailedError", "KeyTooLargeError", "LockLostError", "NosqgridError", "NotServedError",
           "PermissionRefusedError", "StaleReceiptError", "StartError", "StorageError", "UnknownJobError",
           "UnsupportedTypeError", "UsageError", "ValueTooLargeError"]
