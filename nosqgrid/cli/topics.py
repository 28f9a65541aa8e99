"""nosqgrid topic list, publish, tail, and nosqgrid listen: messages and changes of keys, from the shell."""

import argparse
import json
import sys

from ..client.grid import attach
from ..client.topics.listener import KINDS
from ..errors import UsageError
from .keys import TYPES, parse_value
from .output import add_output_argument, jsonable, positive, write_list, write_value


def _grid(arguments):
    return attach(arguments.socket, near_cache=0)


def _topic_arguments(parser):
    subparsers = parser.add_subparsers(dest="action", metavar="ACTION")
    subparsers.required = True
    for name, help_text, add_arguments, run in _ACTIONS:
        sub = subparsers.add_parser(name, help=help_text, description=help_text)
        # Either place will do; here it is left out where it was not said, so as not to hide what was said before.
        sub.add_argument("--socket", metavar="PATH", default=argparse.SUPPRESS, help="the coordinator's socket")
        add_arguments(sub)
        sub.set_defaults(run_action=run)


def _topic(arguments, out):
    with _grid(arguments) as grid:
        return arguments.run_action(grid, arguments, out)


def _list(grid, arguments, out):
    write_list(out, grid.topics(), arguments.output)
    return 0


def _publish_arguments(parser):
    parser.add_argument("name")
    parser.add_argument("value", help="the message; - reads it from standard input")
    parser.add_argument("-t", "--type", choices=TYPES, default=None,
                        help="how to read VALUE (default: str, and bytes from standard input)")
    parser.add_argument("--maxlen", type=int, metavar="N", help="the topic keeps so many messages from now on")
    parser.add_argument("--max-bytes", type=int, metavar="N", help="of so many bytes together")
    parser.add_argument("--max-age", type=float, metavar="SECONDS", help="and none that is older; 0: of any age")


def _publish(grid, arguments, out):
    topic = grid.topic(arguments.name, arguments.maxlen, max_bytes=arguments.max_bytes, max_age=arguments.max_age)
    out.write("%d\n" % topic.publish(parse_value(arguments.value, arguments.type)))
    return 0


def _reading_arguments(parser, what):
    parser.add_argument("-n", "--count", type=positive, metavar="N", help="end after so many %s" % what)
    parser.add_argument("--no-wait", action="store_true", help="end when there is nothing more, instead of waiting")
    add_output_argument(parser)


def _tail_arguments(parser):
    parser.add_argument("name")
    parser.add_argument("--since", default="new", metavar="WHERE",
                        help="new (the default), oldest, the number of a message, behind which it begins, or a cursor")
    _reading_arguments(parser, "messages")


def _tail(grid, arguments, out):
    since = int(arguments.since) if arguments.since.isdigit() else arguments.since
    with grid.subscribe(arguments.name, since=since) as subscription:
        return _copy(subscription, arguments, out, lambda message: _show_message(out, arguments, message, subscription))


def _show_message(out, arguments, message, subscription):
    if arguments.output == "json":
        _write_json(out, [("seq", message.seq), ("value", message.value), ("missed", message.missed),
                          ("published", message.published), ("cursor", subscription.cursor)])
        return
    if arguments.output == "table":
        out.write("%d\t" % message.seq)
    write_value(out, message.value, arguments.output)
    if arguments.output == "raw" and isinstance(message.value, (bytes, str)):
        out.write("\n")


def _listen_arguments(parser):
    parser.add_argument("prefix", nargs="?", default="", help="of the keys (default: all keys)")
    parser.add_argument("--events", default=",".join(KINDS), metavar="KINDS",
                        help="which, with commas between them (default: %s)" % ",".join(KINDS))
    _reading_arguments(parser, "events")


def _listen(arguments, out):
    with _grid(arguments) as grid, grid.listen(arguments.prefix, arguments.events.split(",")) as listener:
        return _copy(listener, arguments, out, lambda event: _show_event(out, arguments, event))


def _show_event(out, arguments, event):
    if arguments.output == "json":
        _write_json(out, [("seq", event.seq), ("kind", event.kind), ("key", event.key), ("missed", event.missed),
                          ("time", event.time)])
        return
    out.write("%s%s" % (event.kind, "\t" if event.key is not None else "\n"))
    if event.key is not None:
        write_value(out, event.key, "table")


def _copy(reader, arguments, out, show):
    """Show what a reader gives, as it comes, and say on standard error what was missed."""
    if arguments.count is not None and arguments.count < 1:
        raise UsageError("--count %d: one at least" % arguments.count)
    shown = 0
    while arguments.count is None or shown < arguments.count:
        found = reader.get(0 if arguments.no_wait else None)
        if found is None:
            break
        if found.missed:
            sys.stderr.write("nosqgrid: %d were missed: they were not kept any more\n" % found.missed)
        show(found)
        out.flush()
        shown += 1
    return 0


def _write_json(out, pairs):
    out.write(json.dumps({name: jsonable(value) for name, value in pairs}) + "\n")


_ACTIONS = (
    ("list", "print the names of all topics", add_output_argument, _list),
    ("publish", "publish a message and print its number", _publish_arguments, _publish),
    ("tail", "print messages as they come", _tail_arguments, _tail),
)

COMMANDS = (
    ("topic", "messages: list, publish, tail", "Topics: nosqgrid topic publish news hello; nosqgrid topic tail news "
     "--since oldest; nosqgrid topic list", _topic_arguments, _topic),
    ("listen", "print what happens to keys", "Print what happens to the keys with a prefix, whoever changes them: set, "
     "delete, expire, evict, clear.", _listen_arguments, _listen),
)
