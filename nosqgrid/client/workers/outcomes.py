"""What a call came to, as bytes: a value or an exception.

    0  type of the value, payload        it returned
    1  JSON text                         it raised: name, args, text, traceback

An exception is made again from a class that the reader has imported already, and only from arguments that the grid
carries as values; where that cannot be it is a JobFailedError that says what it was.  Its __cause__ is a
RemoteTraceback, so that what is printed shows where it happened.
"""

import json
import sys
import traceback

from ...errors import CorruptValueError, JobFailedError, NosqgridError
from ...formats import values

RETURNED, RAISED = 0, 1
TEXT_MAX = 20000  # of a traceback; the end of it is what tells


class RemoteTraceback(Exception):
    """Where a function failed in its worker: the cause of the exception that its caller gets."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text

    def __str__(self):
        return "\n\"\"\"\n%s\"\"\"" % self.text


def traceback_text(error):
    """An exception and where it came from, as Python prints it, without the frames of the worker."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(__package__ + "."):
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    return text if len(text) <= TEXT_MAX else "...\n" + text[-TEXT_MAX:]


def returned(codec, value, raw_key):
    """The outcome of a call that returned a value.  Raises UnsupportedTypeError for what the grid does not carry."""
    value_type, payload = codec.encode(value, raw_key)
    return bytes((RETURNED, value_type)) + payload


def raised(error):
    """The outcome of a call that raised."""
    kind = type(error)
    try:
        value_type, payload = values.encode(error.args)
        args = [value_type, payload.decode("ascii")]
    except (NosqgridError, UnicodeDecodeError):
        args = None
    found = {"name": [kind.__module__, kind.__qualname__], "args": args, "text": _text_of(error),
             "traceback": traceback_text(error)}
    return bytes((RAISED,)) + json.dumps(found).encode("ascii")


def _text_of(error):
    try:
        return str(error)[:TEXT_MAX]
    except Exception as again:  # its own __str__ may fail as it likes
        return "(its text cannot be made: %s)" % type(again).__name__


def outcome(codec, data, raw_key):
    """(value, None) or (None, exception) of an outcome.  Raises CorruptValueError for bytes that are none."""
    if data[:1] == b"\0" and len(data) > 1:
        return codec.decode(data[1], data[2:], raw_key), None
    if data[:1] != b"\1":
        raise CorruptValueError("%d bytes that are no outcome of a call" % len(data))
    try:
        found = json.loads(data[1:].decode("ascii"))
        error = _exception(found["name"], found["args"], found["text"])
        error.__cause__ = RemoteTraceback(found["traceback"])
    except (ValueError, TypeError, LookupError, AttributeError) as broken:
        raise CorruptValueError("the outcome of a call makes no sense: %s" % broken) from broken
    return None, error


def _exception(name, args, text):
    module, qualname = name
    kind = sys.modules.get(module)
    for part in qualname.split("."):
        kind = getattr(kind, part, None)
    if args is not None and isinstance(kind, type) and issubclass(kind, BaseException):
        try:
            made = kind(*values.decode(args[0], args[1].encode("ascii")))
        except Exception as error:  # whatever a constructor raises that takes other arguments than it keeps
            return JobFailedError("%s.%s: %s (%s)" % (module, qualname, text, type(error).__name__))
        if isinstance(made, kind):
            return made
    return JobFailedError("%s.%s: %s" % (module, qualname, text))
