"""nosqgrid get, set, del, incr, keys, scan: one key, or many, from the shell."""

import json
import sys

from ..client.grid import attach
from ..errors import UsageError
from .output import add_output_argument, write_list, write_value

_MISSING = object()
TYPES = ("str", "int", "float", "json", "bytes")


def _grid(arguments):
    return attach(arguments.socket, near_cache=0)


def _get_arguments(parser):
    parser.add_argument("key")
    add_output_argument(parser)


def _get(arguments, out):
    with _grid(arguments) as grid:
        value = grid.get(arguments.key, _MISSING)
    if value is _MISSING:
        sys.stderr.write("nosqgrid: no key %r\n" % arguments.key)
        return 1
    write_value(out, value, arguments.output)
    return 0


def _set_arguments(parser):
    parser.add_argument("key")
    parser.add_argument("value", help="the value; - reads it from standard input")
    parser.add_argument("-t", "--type", choices=TYPES, default=None,
                        help="how to read VALUE (default: str, and bytes from standard input)")
    parser.add_argument("--ttl", type=float, metavar="SECONDS", help="let the key expire after so many seconds")
    parser.add_argument("--if-absent", action="store_true", help="only if the key is not there (else exit status 1)")
    parser.add_argument("--if-present", action="store_true", help="only if the key is there (exit status 1 if not)")


def _set(arguments, out):
    value = parse_value(arguments.value, arguments.type)
    with _grid(arguments) as grid:
        version = grid.set(arguments.key, value, arguments.ttl, if_absent=arguments.if_absent,
                           if_present=arguments.if_present)
    return 0 if version is not None else 1


def parse_value(text, kind):
    """The value that a word of the command line stands for; - is standard input.  Raises UsageError."""
    if text == "-":
        data = sys.stdin.buffer.read()
        if kind in (None, "bytes"):
            return data
        text = data
    elif kind == "bytes":
        return text.encode("utf-8", "surrogateescape")
    readers = {None: str, "str": str, "int": int, "float": float, "json": json.loads}
    try:
        return readers[kind](text.decode("utf-8") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:  # the latter for JSON that nests some thousand times
        raise UsageError("the value is no %s: %s" % (kind, error)) from error


def _del_arguments(parser):
    parser.add_argument("key", nargs="+")


def _del(arguments, out):
    with _grid(arguments) as grid:
        count = grid.delete(*arguments.key)
    out.write("%d\n" % count)
    return 0 if count else 1


def _incr_arguments(parser):
    parser.add_argument("key")
    parser.add_argument("by", nargs="?", type=int, default=1, help="what to add (default: 1)")


def _incr(arguments, out):
    with _grid(arguments) as grid:
        out.write("%d\n" % grid.incr(arguments.key, arguments.by))
    return 0


def _keys_arguments(parser):
    parser.add_argument("pattern", nargs="?", default=None, help="such as 'user:*'; * any text, ? one character, [abc]")
    add_output_argument(parser)


def _keys(arguments, out):
    with _grid(arguments) as grid:
        write_list(out, sorted(grid.scan(match=arguments.pattern)), arguments.output)
    return 0


def _scan_arguments(parser):
    parser.add_argument("prefix", nargs="?", default="", help="only keys that begin like this")
    parser.add_argument("--match", metavar="PATTERN", help="only keys that match, such as 'user:*'")
    parser.add_argument("--values", action="store_true", help="one JSON object a line, with key and value")
    add_output_argument(parser)


def _scan(arguments, out):
    with _grid(arguments) as grid:
        keys = grid.scan(arguments.prefix, arguments.match)
        if not arguments.values:
            write_list(out, keys, arguments.output)
            return 0
        for key in keys:
            value = grid.get(key, _MISSING)
            if value is not _MISSING:
                write_value(out, {"key": key, "value": value}, "json")
    return 0


COMMANDS = (
    ("get", "print the value of a key", "Print the value of a key.  Exit status 1 if there is none.", _get_arguments,
     _get),
    ("set", "store a value", "Store a value: nosqgrid set user:1 Ada; nosqgrid set n 5 -t int; "
     "nosqgrid set conf '{\"a\": 1}' -t json; nosqgrid set blob - < file", _set_arguments, _set),
    ("del", "delete keys", "Delete keys and print how many were there.  Exit status 1 if none was.", _del_arguments,
     _del),
    ("incr", "add to an integer", "Add to an integer, 0 where there is none, and print the sum.", _incr_arguments,
     _incr),
    ("keys", "list keys, sorted", "List all keys, or those that match a pattern, sorted.", _keys_arguments, _keys),
    ("scan", "walk keys, as they come", "Walk the keys without sorting or collecting them.", _scan_arguments, _scan),
)
