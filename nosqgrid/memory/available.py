"""How much memory this process may still have: what the machine, its control groups and its own limits leave.

A store into shared memory that the system cannot back does not fail, it kills: with SIGBUS on a full tmpfs, with the
out-of-memory killer at the limit of a control group.  So the limits are looked at before an arena is made, and before
it grows.  Where a file is not there, or is not understood, there is no such bound: nothing here ever raises for what
the system says.

Source: Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.current, memory.stat), cgroup-v1/memory.rst and
filesystems/proc.rst (MemAvailable) of the Linux kernel.
"""

import os
import resource
from collections import namedtuple

from ..engine.budget import size_text
from ..errors import CoordinatorError, StartError
from ..limits import MEMORY_BYTES_MIN, MIB
from . import shared_file

Bound = namedtuple("Bound", "name limit_bytes free_bytes advice")

UNLIMITED_BYTES = 1 << 60  # a limit from here on is none: control groups v1 say 2**63 - 4096
CGROUP_DEPTH_MAX = 64
TEXT_BYTES_MAX = 64 * 1024

_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


# -- parsers ----------------------------------------------------------------------------------------------------------


def parse_size(text):
    """The number of bytes in a file of a control group; None for "max", for a limit that is none, and for nonsense."""
    try:
        value = int(text)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value < UNLIMITED_BYTES else None


def parse_meminfo(text):
    """{name: bytes} of /proc/meminfo; lines that are not understood are left out."""
    found = {}
    for line in (text or "").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        value = parse_size(words[0]) if words else None
        if value is not None:
            found[name.strip()] = value * 1024 if words[1:] == ["kB"] else value
    return found


def parse_memory_stat(text, name):
    """One number out of memory.stat; 0 where it is not there."""
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == name:
            return parse_size(words[1]) or 0
    return 0


def parse_cgroups(text):
    """(path in the hierarchy of version 2, path in that of version 1 for memory), None for each that is not named."""
    second = first = None
    for line in (text or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3 or not parts[2].startswith("/"):
            continue
        if parts[0] == "0" and not parts[1]:
            second = parts[2]
        elif "memory" in parts[1].split(","):
            first = parts[2]
    return second, first


# -- bounds -----------------------------------------------------------------------------------------------------------


def bounds(backend=None, directory=None, root="/"):
    """Every Bound there is for shared memory of this backend in this directory; `root` is where /proc and /sys are."""
    found = _cgroup_bounds(root) + [_machine(root), _address_space(root)]
    if backend == "file":
        found.append(_file_system(directory or shared_file.default_directory()))
    return [bound for bound in found if bound is not None]


def available_bytes(backend=None, directory=None, root="/"):
    """The least that any bound leaves free, or None where none is known.  Cost: some ten small files, about 0.2 ms."""
    free = [bound.free_bytes for bound in bounds(backend, directory, root)]
    return min(free) if free else None


def _read(*path):
    try:
        with open(os.path.join(*path), encoding="ascii", errors="replace") as file:
            return file.read(TEXT_BYTES_MAX)
    except OSError:
        return None


def _cgroup_bounds(root):
    mounts = os.path.join(root, "sys/fs/cgroup")
    second, first = parse_cgroups(_read(root, "proc/self/cgroup"))
    found = []
    for path, mount, names in ((second, mounts, _V2), (second, os.path.join(mounts, "unified"), _V2),
                               (first, os.path.join(mounts, "memory"), _V1)):
        if path is not None:
            found += _hierarchy(mount, path, names)
    return found


def _hierarchy(mount, path, names):
    """The Bound of each group from this one up to the mount.

    In a container the path may be the host's, and the mount show nothing but the container's own group, as its root.
    """
    parts = [part for part in path.split("/") if part not in ("", ".", "..")][:CGROUP_DEPTH_MAX]
    found = []
    for depth in range(len(parts), -1, -1):
        directory = os.path.join(mount, *parts[:depth])
        limit = parse_size(_read(directory, names[0]))
        if limit is None:
            continue
        # What files have cached there and nobody uses makes room when it is needed.
        used = (parse_size(_read(directory, names[1])) or 0) - parse_memory_stat(_read(directory, "memory.stat"),
                                                                                 names[2])
        found.append(Bound("the memory limit of the control group %s" % directory, limit,
                           max(limit - max(used, 0), 0), "raise it"))
    return found


def _machine(root):
    info = parse_meminfo(_read(root, "proc/meminfo"))
    if "MemTotal" not in info or "MemAvailable" not in info:
        return None
    swap = info.get("SwapTotal", 0), info.get("SwapFree", 0)
    return Bound("the memory of this machine", info["MemTotal"] + swap[0], info["MemAvailable"] + swap[1],
                 "end what else uses it")


def _address_space(root):
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or not 0 <= limit < UNLIMITED_BYTES:
        return None
    pages = parse_size(((_read(root, "proc/self/statm") or "").split() or [None])[0]) or 0
    return Bound("the limit of this process on its address space", limit,
                 max(limit - pages * resource.getpagesize(), 0), "raise it (ulimit -v)")


def _file_system(directory):
    try:
        status = os.statvfs(directory)
    except OSError:
        return None
    return Bound("the file system of %s" % directory, status.f_blocks * status.f_frsize,
                 status.f_bavail * status.f_frsize, "free some (df %s)" % directory)


# -- before the start -------------------------------------------------------------------------------------------------


def probe_backend():
    """The backend that shared files have here, or None where there is none: the start will say why."""
    try:
        with shared_file.create("nosqgrid-probe", resource.getpagesize()) as file:
            return file.backend
    except CoordinatorError:
        return None


def check_before_start(memory_bytes, backend=None, directory=None, root="/"):
    """Whether so much memory can be had: None, or a warning where it is tight.

    Raises StartError where it never can: where a limit is below it, or the file system has less room.
    """
    tight = None
    for bound in bounds(backend, directory, root):
        hard = bound.free_bytes if bound.name.startswith("the file system") else bound.limit_bytes
        if memory_bytes > hard:
            raise StartError("cannot have %s of memory: %s is %s, of which %s are free; %s, or ask for less with "
                             "--memory" % (size_text(memory_bytes), bound.name, size_text(bound.limit_bytes),
                                           size_text(bound.free_bytes), bound.advice))
        if memory_bytes > bound.free_bytes and (tight is None or bound.free_bytes < tight.free_bytes):
            tight = bound
    if tight is None:
        return None
    return ("memory is tight: %s are asked for, and of %s, %s, only %s are free; when they are used up the system ends "
            "processes, this one perhaps: %s, or ask for less with --memory" % (
                size_text(memory_bytes), tight.name, size_text(tight.limit_bytes), size_text(tight.free_bytes),
                tight.advice))


def sensible_bytes(wanted_bytes, backend=None, directory=None, root="/"):
    """`wanted_bytes`, or less where that is more than half of a limit or three quarters of what is free; whole MiB.

    Never less than a grid can have: whether that can be had, check_before_start() tells.
    """
    for bound in bounds(backend, directory, root):
        wanted_bytes = min(wanted_bytes, bound.limit_bytes // 2, bound.free_bytes // 4 * 3)
    return max(wanted_bytes // MIB * MIB, MEMORY_BYTES_MIN)
