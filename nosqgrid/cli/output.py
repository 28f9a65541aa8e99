"""How the shell shows values and rows: -o table (for people), json (for programs), raw (for pipes)."""

import argparse
import json

FORMATS = ("table", "json", "raw")


def add_output_argument(parser):
    parser.add_argument("-o", "--output", choices=FORMATS, default="table",
                        help="table for people, json for programs, raw for pipes: bytes and texts as they are "
                        "(default: table)")


def positive(text):
    """How many, from an argument; for argparse, which says so where it is none."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError("a number from 1 on, and not %r" % text)
    return int(text)


def jsonable(value):
    """A value as JSON can show it: bytes as text, sets and tuples as lists, times as ISO text."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(jsonable(key)): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((jsonable(item) for item in value), key=str)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def write_value(out, value, output):
    """One value on a line of its own; raw bytes without the line end."""
    if output == "raw" and isinstance(value, (bytes, str)):
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        out.flush()
        binary = getattr(out, "buffer", None)
        if binary is None:
            out.write(data.decode("utf-8", "backslashreplace"))
        else:
            binary.write(data)
            binary.flush()
        return
    if output == "table" and isinstance(value, str):
        text = value
    elif output == "table" and not isinstance(value, (dict, list, bool)) and value is not None:
        text = repr(value)
    else:
        text = _json(jsonable(value), out)
    out.write(_printable(text, out) + "\n")


def write_rows(out, rows, output):
    """(name, value) rows: aligned, or one JSON object, or name=value lines."""
    rows = list(rows)
    if output == "json":
        out.write(_json({name: jsonable(value) for name, value in rows}, out, indent=2) + "\n")
        return
    width = max([len(name) for name, _ in rows] or [0])
    for name, value in rows:
        if output == "raw":
            out.write("%s=%s\n" % (name, value))
        else:
            out.write("%-*s  %s\n" % (width, name, _printable(str(value), out)))


def write_list(out, items, output):
    """Texts, a line each, as they come; JSON when all are there."""
    if output == "json":
        out.write(_json([jsonable(item) for item in items], out) + "\n")
        return
    for item in items:
        out.write(_printable(item, out) + "\n")


def _json(value, out, indent=None):
    """JSON of what jsonable() made, with JSON's own escapes for what the encoding of `out` may not have."""
    return _printable(json.dumps(value, indent=indent, ensure_ascii=_encoding(out) != "utf-8"), out)


def _printable(text, out):
    """What the encoding of `out` does not have, and lone surrogates, as escapes."""
    return text.encode(_encoding(out), "backslashreplace").decode(_encoding(out))


def _encoding(out):
    return (getattr(out, "encoding", None) or "utf-8").lower()
