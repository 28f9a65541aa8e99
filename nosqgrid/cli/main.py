"""The command line: python3 -m nosqgrid COMMAND, or nosqgrid COMMAND where it is installed.

Exit status: 0 done; 1 the answer is no (a key that is not there, a condition that refused); 2 the command line is
wrong; 3 nobody serves the socket, the coordinator is gone, or one could not start; 4 refused (the grid or the disk is
full, too large, wrong type, no permission, a file of a newer nosqgrid); 5 durable files are damaged.  130 interrupted.
"""

import argparse
import importlib
import os
import sys

from .. import __version__
from ..errors import (CallerError, CoordinatorError, CorruptFileError, GridFullError, NosqgridError, StartError,
                      UsageError)

# The modules and their commands.  Scripts start commands by the thousand, and most take less time than to import all of
# these: only the module that is asked for is imported.
MODULES = (("serve", ("serve",)),
           ("keys", ("get", "set", "del", "incr", "keys", "scan")),
           ("status", ("stats", "ping")),
           ("storage", ("checkpoint", "check", "dump", "salvage", "restore")),
           ("locks", ("lock", "locks")),
           ("queues", ("queue", "jobs")),
           ("topics", ("topic", "listen")),
           ("commands", ("commands",)),
           ("worker", ("worker",)),
           ("demo", ("demo",)),
           ("bench", ("bench",)))

EXIT_NO = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_REFUSED = 4
EXIT_DAMAGED = 5

EPILOG = """A first look, in two terminals:

  python3 -m nosqgrid serve                      a coordinator on your default socket
  python3 -m nosqgrid set user:1 Ada             and its clients
  python3 -m nosqgrid get user:1
  python3 -m nosqgrid demo                       or: everything at once, in half a minute

--socket PATH, or $NOSQGRID_SOCKET, chooses the grid.  Exit status: 0 done, 1 no such key, 2 wrong usage,
3 no coordinator, 4 refused, 5 damaged files."""


def build_parser(command=None):
    """The parser of one command, where it is one of them, or of all."""
    parser = argparse.ArgumentParser(prog="nosqgrid", description="A data grid in shared memory, in plain Python.",
                                     epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version="nosqgrid " + __version__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, help_text, description, add_arguments, run in _commands(command):
        sub = subparsers.add_parser(name, help=help_text, description=description,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.add_argument("--socket", metavar="PATH", help="the coordinator's socket (default: $NOSQGRID_SOCKET, else "
                         "this user's default path)")
        add_arguments(sub)
        sub.set_defaults(run=run)
    return parser


def _commands(command):
    names = [module for module, commands in MODULES if command in commands] or [module for module, _ in MODULES]
    return [row for name in names for row in importlib.import_module("." + name, __package__).COMMANDS]


def main(argv=None, out=None):
    """Run a command line; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    parser = build_parser(argv[0] if argv else None)
    arguments = parser.parse_args(argv)
    out = sys.stdout if out is None else out
    if arguments.command is None:
        parser.print_help(out)
        return EXIT_USAGE
    try:
        status_code = arguments.run(arguments, out)
        out.flush()
        return status_code
    except BrokenPipeError:
        # Whoever read our output has left (nosqgrid keys | head): nothing to tell and nobody to tell it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except NosqgridError as error:
        sys.stderr.write("nosqgrid: %s\n" % error)
        return _status_of(error)


def _status_of(error):
    if isinstance(error, CorruptFileError):
        return EXIT_DAMAGED
    if isinstance(error, (UsageError, StartError)):
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_UNREACHABLE
    if isinstance(error, GridFullError) or isinstance(error, CallerError):
        return EXIT_REFUSED
    return EXIT_UNREACHABLE if isinstance(error, CoordinatorError) else EXIT_REFUSED
