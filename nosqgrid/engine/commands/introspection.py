"""COMMAND: the table as clients see it, made from the table itself.

The functions need the table that they become part of, so `commands_over` binds them to it.  keys_of is the one place
that knows where the keys stand in a command: what is checked and what is used cannot differ.
"""

from ... import errors
from ...formats import resp
from .. import glob
from .categories import categories_of, flags_of, tips_of
from .command_docs import documented
from .command import PLAIN, container, syntax_error, unknown_subcommand
from .key_flags import flags_of_keys, key_specs

def find(table, argv):
    """The row for a command's words, or None where the first is unknown; CommandError for an unknown subcommand."""
    row = table.get(argv[0].upper())
    if row is None or row.subcommands is None or len(argv) == 1:
        return row
    found = row.subcommands.get(argv[1].upper())
    if found is None:
        raise unknown_subcommand(argv)
    return found


def name_of(table, argv):
    """The name of the command or subcommand that words ask for, or None where there is none."""
    row = table.get(argv[0].upper())
    if row is not None and row.subcommands is not None and len(argv) > 1:
        row = row.subcommands.get(argv[1].upper(), row)
    return None if row is None else row.name


def arity_holds(row, word_count):
    """Whether so many words, the name included, are as many as a command takes."""
    return word_count == row.arity if row.arity >= 0 else word_count >= -row.arity


def keys_of(row, argv):
    """The words of a command that are keys."""
    return [argv[index] for index in keys_at(row, argv)]


def keys_at(row, argv):
    """The indexes of the words of a command that are keys."""
    if row.keys is not None:
        return row.keys(argv)
    if not row.first_key:
        return ()
    last = row.last_key if row.last_key >= 0 else len(argv) + row.last_key
    return range(row.first_key, min(last + 1, len(argv)), row.step)


def commands_over(table):
    """COMMAND, which describes the given table (name -> Command)."""

    def count(context, args):
        """How many commands there are."""
        return len(table)

    def list_(context, args):
        """Their names: [FILTERBY PATTERN|ACLCAT|MODULE word]."""
        return [name.lower() for name in _filtered(table, args)]

    def info(context, args):
        """Arity, flags and keys of the commands named, or of all."""
        names = args or list(table)
        return [_described(_named(table, name)) for name in names]

    def docs(context, args):
        """What the commands named do, or all."""
        rows = [_named(table, name) for name in args or list(table)]
        return resp.Map([(row.name.lower(), documented(row)) for row in rows if row is not None])

    def keyed(args):
        """The row for the words of a command, and its keys: one at least, unless a command can do without."""
        row = find(table, args) if args[0].upper() in table else None
        if row is None:
            raise errors.CommandError("Invalid command specified")
        if row.keys is None and not row.first_key:
            raise errors.CommandError("The command has no key arguments")
        if not arity_holds(row, len(args)):
            raise errors.CommandError("Invalid number of arguments specified for command")
        keys = keys_of(row, args)
        if not keys and "no_mandatory_keys" not in row.flags:
            raise errors.CommandError("Invalid arguments specified for command")
        return row, keys

    def getkeys(context, args):
        """Which words of a command are keys."""
        return keyed(args)[1]

    def getkeysandflags(context, args):
        """Which words of a command are keys, and what it does with each."""
        row, keys = keyed(args)
        return [[key, resp.Set(map(resp.Simple, flags))]
                for key, flags in zip(keys, flags_of_keys(row, args, len(keys)))]

    found = container(b"COMMAND", (
        (b"COUNT", count, 2, PLAIN),
        (b"LIST", list_, -2, PLAIN),
        (b"INFO", info, -2, PLAIN),
        (b"DOCS", docs, -2, PLAIN),
        (b"GETKEYS", getkeys, -4, PLAIN),
        (b"GETKEYSANDFLAGS", getkeysandflags, -4, PLAIN),
    ))
    return (found._replace(function=info, arity=-1),)


def _named(table, name):
    """The row for `get` or `client|list`, or None."""
    first, _, second = name.upper().partition(b"|")
    row = table.get(first)
    if row is None or not second:
        return row
    return (row.subcommands or {}).get(second)


def _all_rows(table):
    """All commands and subcommands, by the names that their rows have."""
    for row in table.values():
        yield row
        for found in (row.subcommands or {}).values():
            yield found


def _filtered(table, args):
    if not args:
        return [row.name for row in _all_rows(table)]
    if len(args) != 3 or args[0].upper() != b"FILTERBY":
        raise syntax_error()
    kind = args[1].upper()
    if kind == b"PATTERN":
        pattern = glob.Glob(args[2].lower())
        return [row.name for row in _all_rows(table) if pattern.matches(row.name.lower())]
    if kind == b"ACLCAT":
        wanted = "@" + args[2].decode("utf-8", "replace").lower()
        return [row.name for row in _all_rows(table) if wanted in categories_of(row)]
    if kind == b"MODULE":
        return []
    raise syntax_error()


def _described(row):
    """The ten fields of COMMAND INFO."""
    if row is None:
        return None
    flags = [resp.Simple(flag) for flag in flags_of(row)]
    categories = [resp.Simple(category) for category in categories_of(row)]
    subcommands = [_described(found) for found in (row.subcommands or {}).values()]
    return [row.name.lower(), row.arity, resp.Set(flags), row.first_key, row.last_key, row.step,
            resp.Set(categories), resp.Set(tips_of(row)), resp.Set(map(_specified, key_specs(row))), subcommands]


def _specified(spec):
    """One of key_specs() as a reply."""
    flags, begin, find = spec
    return resp.Map([(b"flags", resp.Set(map(resp.Simple, flags.split()))), (b"begin_search", _search(begin)),
                     (b"find_keys", _search(find))])


def _search(search):
    kind, numbers = search
    fields = [(name.encode("ascii"), value.encode("ascii") if isinstance(value, str) else value)
              for name, value in numbers.items()]
    return resp.Map([(b"type", kind.encode("ascii")), (b"spec", resp.Map(fields))])
