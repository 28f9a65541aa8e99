"""Which machine, kernel, Python and commit a result was measured on: a number without them says nothing."""

import os
import platform
import subprocess
import sys
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def describe():
    """What stands at the head of every result, as (name, value) pairs."""
    return [
        ("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("cpu", _cpu_name()),
        ("cores", "%d usable of %s" % (usable_cores(), os.cpu_count())),
        ("memory", _memory()),
        ("kernel", "%s %s" % (platform.system(), platform.release())),
        ("python", python_name()),
        ("commit", _commit()),
        ("load before", _load()),
    ]


def python_name():
    """Implementation and version, as it also stands in the name of a result file."""
    return "%s-%s" % (platform.python_implementation().lower(), platform.python_version())


def usable_cores():
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _first_line(path, beginning):
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith(beginning):
                    return line
    except OSError:
        return ""
    return ""


def _cpu_name():
    name = _first_line("/proc/cpuinfo", "model name").partition(":")[2].strip() or platform.processor()
    virtual = " hypervisor" in _first_line("/proc/cpuinfo", "flags")
    return (name or platform.machine() or "unknown") + (", virtual machine" if virtual else "")


def _memory():
    words = _first_line("/proc/meminfo", "MemTotal").split()
    return "%.1f GiB" % (int(words[1]) / 1024.0 / 1024.0) if len(words) > 1 else "unknown"


def _load():
    return "%.2f" % os.getloadavg()[0] if hasattr(os, "getloadavg") else "unknown"


def _commit():
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return commit + (" with uncommitted changes" if _git("status", "--porcelain") else "")


def _git(*arguments):
    try:
        done = subprocess.run(("git", "-C", REPOSITORY) + arguments, stdin=subprocess.DEVNULL, timeout=20,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    for item in describe():
        sys.stdout.write("%-12s %s\n" % item)
