"""nosqgrid commands: what this server does with each command of Redis 7.0.

Whether a command is there, and which of its subcommands, is asked of the command table itself, so that no list can
promise what is not there; what differs is in the notes (cli/redis_notes).

    yes       it is there, with the replies of Redis
    differs   it is there, and the note says in what it differs
    part      some of its subcommands are not there
    no        it is not there
"""

import collections

from ..engine.commands import TABLE
from .redis_names import GROUPS, VERSION
from .redis_notes import ABSENT, NOTES

HELP = "which commands of Redis there are"
DESCRIPTION = """Every command of Redis %s, and whether it is here: yes; differs (and in what); part (and which
subcommands are missing); no (and why).  With NAMEs only those; a subcommand is XINFO|STREAM.  It asks no coordinator.
Exit status 1 if a NAME is no command of Redis %s.""" % (VERSION, VERSION)

YES, DIFFERS, PART, NO = "yes", "differs", "part", "no"
STATUSES = (YES, DIFFERS, PART, NO)
UNEXPLAINED = "it is not there yet"

Row = collections.namedtuple("Row", "name status note")
Row.__doc__ = "A command of Redis, one of STATUSES, and what is to be said: empty with YES alone."


def row_of(name, subcommands=(), table=TABLE):
    """The Row of a command, or of NAME|SUBCOMMAND, which the table may have or not."""
    found = _find(table, name)
    if found is None:
        return Row(name, NO, ABSENT.get(name, UNEXPLAINED))
    missing = [sub_name for sub_name in subcommands if _find(table, name + "|" + sub_name) is None]
    notes = [NOTES[name]] if name in NOTES else []
    notes += ["%s: %s" % (sub_name, NOTES[name + "|" + sub_name]) for sub_name in subcommands
              if name + "|" + sub_name in NOTES]
    if missing:
        return Row(name, PART, "; ".join(_without(name, missing) + notes))
    return Row(name, DIFFERS if notes else YES, "; ".join(notes))


def _find(table, name):
    first, _, second = name.encode("ascii").partition(b"|")
    row = table.get(first)
    return row if row is None or not second else (row.subcommands or {}).get(second)


def _without(name, missing):
    """["without A, B (why)", ...]: those that are missing for one reason together."""
    reasons = collections.OrderedDict()
    for sub_name in missing:
        reasons.setdefault(ABSENT.get(name + "|" + sub_name, UNEXPLAINED), []).append(sub_name)
    return ["without %s (%s)" % (", ".join(names), why) for why, names in reasons.items()]


def rows_of_groups(table=TABLE):
    """{group: [Row]} of all commands, in Redis' order."""
    return collections.OrderedDict((group, [row_of(name, names[name], table) for name in names])
                                   for group, names in GROUPS.items())


def counts_of(groups):
    """How many commands there are of each status, as a line of text."""
    counts = collections.Counter(row.status for rows in groups.values() for row in rows)
    return "%d commands: %s" % (sum(counts.values()), ", ".join("%d %s" % (counts[status], status)
                                                               for status in STATUSES))


def markdown_of(groups):
    """The tables that stand in docs/redis.md: for each group those that need no word in a line, the others in rows."""
    lines = ["Of Redis %s's %s." % (VERSION, counts_of(groups))]
    for group, rows in groups.items():
        lines += ["", "### %s" % group, ""]
        same = [row.name for row in rows if row.status == YES]
        others = [row for row in rows if row.status != YES]
        if others:
            lines += ["| command | | |", "|---|---|---|"]
            lines += ["| %s | %s | %s |" % (row.name, row.status, row.note) for row in others]
        if same:
            lines += ["| %s | yes | |" % ", ".join(same)] if others else _wrapped(same)
    return "\n".join(lines) + "\n"


def _wrapped(names):
    lines = [""]
    for word in ["All as in Redis:"] + [name + "," for name in names[:-1]] + [names[-1] + "."]:
        if len(lines[-1]) + len(word) >= 110:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def text_of(groups):
    """The same for a terminal: a line a command."""
    lines = []
    for group, rows in groups.items():
        lines.append("# " + group)
        lines += [line_of(row) for row in rows]
    return "\n".join(lines + ["", counts_of(groups)]) + "\n"


def line_of(row):
    return ("%-20s  %-7s  %s" % row).rstrip()


def add_arguments(parser):
    parser.add_argument("name", nargs="*", metavar="NAME", help="a command of Redis, such as sort or 'client|kill'")
    parser.add_argument("--markdown", action="store_true", help="as the tables of docs/redis.md")


def run(arguments, out):
    """Print; the exit status."""
    groups, status = rows_of_groups(), 0
    if not arguments.name:
        out.write((markdown_of if arguments.markdown else text_of)(groups))
        return status
    known = {name: subcommands for names in GROUPS.values() for name, subcommands in names.items()}
    for name in (given.upper() for given in arguments.name):
        first, _, second = name.partition("|")
        if first not in known or name != first and second not in known[first]:
            out.write("%-20s  is no command of Redis %s\n" % (name, VERSION))
            status = 1
        else:
            out.write(line_of(row_of(name, () if second else known[first])) + "\n")
    return status


COMMANDS = (("commands", HELP, DESCRIPTION, add_arguments, run),)
