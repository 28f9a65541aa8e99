"""nosqgrid checkpoint, check, dump, salvage, restore: the durable files, with a coordinator and without one."""

import base64
import contextlib
import datetime
import json
import os
import secrets
import sys
import time

from ..client.grid import attach, size_bytes
from ..engine import databases
from ..errors import CorruptFileError, CorruptValueError, UsageError
from ..formats import scalars, values
from ..storage import inspection, rebuilding, salvage
from ..storage.checkpoint import now_ms
from ..storage.files import Files, check_directory, holder_of
from . import structures
from .output import add_output_argument, write_value

EXIT_TORN = 1
EXIT_NEWER = 4
EXIT_DAMAGED = 5
_EXIT = {inspection.WHOLE: 0, inspection.TORN: EXIT_TORN, inspection.NEWER: EXIT_NEWER,
         inspection.DAMAGED: EXIT_DAMAGED}
BAR_EVERY_S = 0.1
BAR_WIDTH = 30
_EPOCH = datetime.datetime(1970, 1, 1)


class Bar(object):
    """A line of progress on standard error, where that is a terminal; else nothing.  Use it in a `with`."""

    def __init__(self):
        self._shown = sys.stderr.isatty()
        self._next = 0.0

    def due(self):
        """Whether it is time to show something again."""
        return self._shown and time.monotonic() >= self._next

    def show(self, done, total, text):
        """Show how far it is, and the text behind."""
        part = min(done / total, 1.0) if total else 0.0
        full = int(part * BAR_WIDTH)
        self._write("\r[%s%s] %3d %%  %s\x1b[K" % ("#" * full, "." * (BAR_WIDTH - full), int(part * 100), text))
        self._next = time.monotonic() + BAR_EVERY_S

    def say(self, text):
        """Show what is being done where nobody knows how long it takes."""
        if self._shown:
            self._write("\r%s\x1b[K" % text.encode("ascii", "backslashreplace").decode())

    def _write(self, text):
        with contextlib.suppress(OSError):  # a terminal that is gone is no reason to stop
            sys.stderr.write(text)
            sys.stderr.flush()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if self._shown:
            self._write("\r\x1b[K")


def _note(text):
    sys.stderr.write("nosqgrid: %s\n" % text.encode("ascii", "backslashreplace").decode())


# -- checkpoint -------------------------------------------------------------------------------------------------------


def _checkpoint_arguments(parser):
    parser.add_argument("--to", metavar="FILE", help="write a copy there, a backup, instead of into the grid's "
                        "directory; a file of that name is replaced when the new one has been verified")
    add_output_argument(parser)


def _checkpoint(arguments, out):
    if arguments.to is not None and os.path.isdir(arguments.to):
        raise UsageError("%s is a directory; give the name of a file in it" % arguments.to)
    with attach(arguments.socket, near_cache=0) as grid:
        with Bar() as bar:
            def progress():
                if bar.due():
                    stats = grid.stats()
                    done = stats.get("checkpoint_keys_done", 0)
                    bar.show(done, stats["keys"], "%d of %d keys, %d MB"
                             % (done, stats["keys"], stats.get("checkpoint_bytes_done", 0) // 1000000))

            made = grid.checkpoint(arguments.to, progress)
    if arguments.output == "json":
        write_value(out, dict(made._asdict()), "json")
    elif arguments.output == "raw":
        out.write("%s\t%d\t%d\t%.3f\n" % (_shown(made.path), made.keys, made.bytes, made.seconds))
    else:
        out.write("%s: %d keys, %d bytes, %.3f s\n" % (_shown(made.path), made.keys, made.bytes, made.seconds))
    return 0


def _shown(path):
    """A path for output in any encoding."""
    return path.encode(sys.stdout.encoding or "utf-8", "backslashreplace").decode(sys.stdout.encoding or "utf-8")


# -- check ------------------------------------------------------------------------------------------------------------


def _check_arguments(parser):
    parser.add_argument("path", metavar="DIR|FILE", help="a data directory, or one file of it, or a backup")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table",
                        help="table for people, json for programs (default: table)")


def _check(arguments, out):
    served = _served(arguments.path)
    with Bar() as bar:
        rows, verdict = inspection.check(Files(), arguments.path, served is not None,
                                         lambda: bar.say("checking %s" % arguments.path))
    if arguments.output == "json":
        write_value(out, {"files": [dict(row._asdict()) for row in rows], "verdict": dict(verdict._asdict()),
                          "served_by": None if served is None else {"pid": served[0], "socket": served[1]}}, "json")
    else:
        _write_table(out, rows)
        out.write("%s: %s\n" % (verdict.state, _shown(verdict.text)))
    if verdict.state == inspection.TORN and served is not None:
        return 0
    return _EXIT[verdict.state]


def _write_table(out, rows):
    lines = [("NAME", "KIND", "STATE", "POSITIONS", "COUNT", "BYTES")]
    for row in rows:
        positions = "" if not row.last_lsn else str(row.last_lsn)
        if row.kind == inspection.LOG and row.first_lsn:
            positions = "%d-%d" % (row.first_lsn, row.last_lsn) if row.count else "from %d" % row.first_lsn
        noun = {inspection.LOG: "entries", inspection.CHECKPOINT: "records"}.get(row.kind)
        lines.append((_shown(os.path.basename(row.path)), row.kind, row.state, positions,
                      "%d %s" % (row.count, noun) if noun else "", str(row.bytes)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        out.write("  ".join("%-*s" % pair for pair in zip(widths, line)).rstrip() + "\n")
    for row in rows:
        if row.problem:
            out.write("%s\n" % _shown(row.problem))


def _served(path):
    """(pid, socket) of who holds this directory, after saying so, or None."""
    holder = holder_of(path)
    if holder is not None:
        _note("a coordinator (pid %d) serves %s and goes on writing: this is what was there at a moment, and a torn "
              "end is normal" % (holder[0], path))
    return holder


# -- dump -------------------------------------------------------------------------------------------------------------


def _dump_arguments(parser):
    parser.add_argument("path", metavar="DIR|FILE", help="a data directory, or a checkpoint")
    parser.add_argument("-o", "--output", choices=("json",), default="json", help="one JSON object a line")


def _dump(arguments, out):
    served = _served(arguments.path)
    with Bar() as bar:
        bar.say("reading %s" % arguments.path)
        state, torn = inspection.read_state(Files(), arguments.path, served is not None)
    if torn is not None and served is None:
        _note("the log has a torn end, which is left out: %s" % torn)
    entries = state.entries
    for key in sorted(entries):
        write_value(out, _dumped(key, *entries[key]), "json")
    return 0


def _dumped(key, value_type, value, deadline_ms, version):
    found, name, database = {}, databases.name_of(key), databases.number_of(key)
    try:
        found["key"] = name.decode("utf-8")
    except UnicodeDecodeError:
        found["key"], found["key_encoding"] = base64.b64encode(name).decode(), "base64"
    if database in databases.SPACES:
        found["space"] = databases.SPACE_NAMES[database]
    elif database:
        found["database"] = database
    structure = value_type in values.STRUCTURE_NAMES
    found["type"] = values.STRUCTURE_NAMES[value_type] if structure else values.NAMES[value_type]
    try:
        if structure:
            found["value"] = structures.readable(rebuilding.rebuild(value_type, value))
        elif value_type in values.BINARY:
            found["value"], found["encoding"] = base64.b64encode(value).decode(), "base64"
        else:
            found["value"] = _as_json(value_type, value)
    except (CorruptFileError, CorruptValueError, UnicodeDecodeError) as error:
        found["value"], found["encoding"] = base64.b64encode(value).decode(), "base64"
        if value_type != values.BYTES:
            found["error"] = str(error)
    found["expires"] = _wall_time(deadline_ms)
    found["version"] = version
    return found


def _as_json(value_type, payload):
    """What JSON has for a value: a number, true, null, an object or list, else text."""
    if value_type == values.BYTES:
        return payload.decode("utf-8")
    value = values.decode(value_type, payload)
    if value_type == values.INT:
        return value if len(payload) <= scalars.DIGITS_AT_ONCE else payload.decode("ascii")
    if value_type == values.FLOAT:
        return value if value - value == 0.0 else payload.decode("ascii")
    if value_type == values.TAGGED:
        return json.loads(payload.decode("utf-8", "surrogatepass"))  # its tags tell tuples, sets and times apart
    return payload.decode("ascii") if value_type == values.DATETIME else value


def _wall_time(deadline_ms):
    """ISO text in UTC; the number itself behind the year 9999; None for no deadline."""
    if not deadline_ms:
        return None
    try:
        return (_EPOCH + datetime.timedelta(milliseconds=deadline_ms)).isoformat(timespec="milliseconds") + "Z"
    except OverflowError:
        return deadline_ms


# -- salvage, restore -------------------------------------------------------------------------------------------------


def _salvage_arguments(parser):
    parser.add_argument("path", metavar="DIR", help="the directory that does not start; it is not changed")
    parser.add_argument("--to", metavar="NEWDIR", required=True, help="a directory that is not there yet, or empty")
    parser.add_argument("--memory", metavar="SIZE", help="give up rather than take more memory than this, such as 2g; "
                        "what is saved has to fit (default: no limit)")


def _salvage(arguments, out):
    holder = holder_of(arguments.path)
    if holder is not None:
        raise UsageError("a coordinator (pid %d) serves %s, so there is nothing to save; make a backup with: nosqgrid "
                         "checkpoint --to FILE --socket %s" % (holder[0], arguments.path, holder[1]))
    _check_new(arguments.to)
    limit = None if arguments.memory is None else size_bytes(arguments.memory)
    with Bar() as bar:
        saved = salvage.salvage(Files(), arguments.path, arguments.to, _new_lineage(), now_ms(), os.getpid(), limit,
                                lambda path: bar.say("reading %s" % path))
    for item in saved.left_out:
        out.write("left out: %s, %d bytes at %d: %s; %s\n"
                  % (_shown(item.path), item.bytes, item.offset, _shown(item.what), item.means))
    if not saved.left_out:
        out.write("nothing was left out\n")
    out.write("%s: %d keys, position %d, %d bytes\n" % (_shown(saved.path), saved.keys, saved.lsn, saved.bytes))
    return 0


def _restore_arguments(parser):
    parser.add_argument("path", metavar="FILE", help="a checkpoint, such as checkpoint --to made it")
    parser.add_argument("--dir", metavar="NEWDIR", required=True, help="a directory that is not there yet, or empty")


def _restore(arguments, out):
    _check_new(arguments.dir)
    with Bar() as bar:
        def progress(done, total):
            if bar.due():
                bar.show(done, total, "%d of %d MB verified" % (done // 1000000, total // 1000000))

        path, facts = inspection.restore(Files(), arguments.path, arguments.dir, _new_lineage(), now_ms(), os.getpid(),
                                         progress)
    out.write("%s: position %d, %d bytes\n" % (_shown(path), facts.lsn, facts.bytes))
    return 0


def _check_new(directory):
    """Refuse a place that others could change; one that is not there is made so that they cannot."""
    if os.path.exists(directory):
        check_directory(directory)


def _new_lineage():
    return secrets.randbits(63) + 1


CHECKPOINT = """Write everything the grid holds to disk, consistent at one moment, while everybody goes on.

Without --to into the grid's directory, where the next start finds it.  Prints the file, its keys, its bytes and the
seconds it took."""

CHECK = """Read every checkpoint and log segment of a directory, or one file, and tell what is whole and what a start
would do.  Needs no coordinator and changes nothing.

Exit status: 0 all is whole, 1 the log has a torn end, as a kill or a power cut leaves it (harmless), 4 the files are of
a newer nosqgrid, 5 something is damaged."""

DUMP = """Print what a start would bring back, or what a checkpoint holds: one JSON object a line, sorted by key, with
key, type, value, expires (UTC, or null) and version, and "database" where that is another than 0.

Bytes that are not UTF-8 are base64, which "encoding" (or "key_encoding") says; within a list, hash, set, sorted set or
stream they are {"base64": ...}.  Keys that have expired meanwhile are there too."""

SALVAGE = """Take whatever is whole in a directory that does not start any more into a new one, and tell what was left
out.  The old directory is not changed.  Restore a backup instead where there is one that is new enough."""

RESTORE = """Make a new directory from a checkpoint, after verifying all of it.  Start it with serve --dir NEWDIR."""

COMMANDS = (
    ("checkpoint", "write everything to disk now", CHECKPOINT, _checkpoint_arguments, _checkpoint),
    ("check", "are the files whole?", CHECK, _check_arguments, _check),
    ("dump", "print what files hold", DUMP, _dump_arguments, _dump),
    ("salvage", "save what is left of damaged files", SALVAGE, _salvage_arguments, _salvage),
    ("restore", "make a directory from a backup", RESTORE, _restore_arguments, _restore),
)
