"""ACL: users and what they may do (engine/acl, engine/acl_rules)."""

from ... import errors
from ...formats import resp
from ..acl import check_name
from ..acl_catalogue import CATEGORIES, WITHOUT_SUBCOMMANDS, Catalogue, name_of
from ..acl_rules import CHANNEL, COMMAND, KEY
from . import command, introspection, permissions
from .categories import categories_of
from .command import PLAIN, container

_GENPASS_BITS_MAX = 4096
_BAD_BITS = ("ACL GENPASS argument must be the number of bits for the output password, a positive number up to %d"
             % _GENPASS_BITS_MAX)
_KINDS = {KEY: b"key", CHANNEL: b"channel"}
_ASKS = PLAIN | {"noscript", "loading", "stale"}
_RULES = _ASKS | {"admin"}


def _text(word):
    return word.decode("utf-8", "surrogateescape")


def catalogue_of(table):
    """The acl_rules.Catalogue of a table of commands."""
    found = []
    for row in table.values():
        subcommands = {} if row.name in WITHOUT_SUBCOMMANDS else row.subcommands or {}
        for each in [row] + list(subcommands.values()):
            found.append((each.name.lower(), [category[1:] for category in categories_of(each)]))
    return Catalogue(found)


def _bad_arguments(name):
    return errors.CommandError("unknown subcommand or wrong number of arguments for '%s'. Try ACL HELP." % name)


# -- users ------------------------------------------------------------------------------------------------------------


def setuser(context, args):
    """Make a user or change one: name rule ..."""
    check_name(args[0])
    context.server.acl.set_user(_text(args[0]), args[1:])
    return resp.OK


def deluser(context, args):
    """Delete users, whose connections end; how many there were."""
    names = [_text(word) for word in args]
    if "default" in names:
        raise errors.CommandError("The 'default' user cannot be removed")
    return sum(context.server.acl.delete_user(name) for name in names)


def getuser(context, args):
    """Flags, passwords (their hashes) and rules of a user; null where there is none."""
    user = context.server.acl.users.get(_text(args[0]))
    if user is None:
        return None
    main = user.selectors[0]
    return resp.Map([(b"flags", resp.Set(user.flags())), (b"passwords", list(user.passwords))] + _described(main)
                    + [(b"selectors", [resp.Map(_described(selector)) for selector in user.selectors[1:]])])


def _described(selector):
    return [(b"commands", selector.describe_commands()), (b"keys", selector.describe_keys()),
            (b"channels", selector.describe_channels())]


def list_(context, args):
    """A line for each user, as an ACL file has it."""
    return [user.describe() for user in context.server.acl.sorted_users()]


def users(context, args):
    """Their names."""
    return [user.name.encode("utf-8", "surrogateescape") for user in context.server.acl.sorted_users()]


def whoami(context, args):
    """The user of this connection."""
    return context.session.account.name.encode("utf-8", "surrogateescape")


def _dryrun_over(table):
    def dryrun(context, args):
        """Whether a user may run a command: user command ...; OK, or why not."""
        user = context.server.acl.users.get(_text(args[0]))
        if user is None:
            raise errors.CommandError("User '%s' not found" % command.shown(args[0]))
        argv = list(args[1:])
        row = _found(table, argv)
        if not introspection.arity_holds(row, len(argv)):
            raise command.wrong_arity(row.name)
        return _said(permissions.denied(user, row, argv), row, argv)

    return dryrun


def _found(table, argv):
    row = table.get(argv[0].upper())
    if row is not None and row.subcommands is not None and len(argv) > 1:
        row = row.subcommands.get(argv[1].upper())
    if row is None:
        raise errors.CommandError("Command '%s' not found" % command.shown(argv[0]))
    return row


def _said(found, row, argv):
    if found is None:
        return resp.OK
    reason, index = found
    if reason == COMMAND:
        return b"This user has no permissions to run the '%b' command" % name_of(row)
    return b"This user has no permissions to access the '%b' %b" % (argv[index], _KINDS[reason])


# -- around users -----------------------------------------------------------------------------------------------------


def cat(context, args):
    """The categories of commands, or the commands of one."""
    if len(args) > 1:
        raise _bad_arguments("CAT")
    if not args:
        return [category.encode("ascii") for category in CATEGORIES]
    names = context.server.acl.catalogue.by_category.get(_text(args[0]).lower())
    if names is None:
        raise errors.CommandError("Unknown category '%s'" % command.shown(args[0]))
    return list(names)


def genpass(context, args):
    """A password that nobody can guess, in hexadecimal digits: [bits], 256 without."""
    if len(args) > 1:
        raise _bad_arguments("GENPASS")
    bits = command.integer(args[0]) if args else 256
    if not 0 < bits <= _GENPASS_BITS_MAX:
        raise errors.CommandError(_BAD_BITS)
    digits = (bits + 3) // 4
    return b"%0*x" % (digits, context.server.random_bits(digits * 4))


def log(context, args):
    """What was denied last, the very last first: [count | RESET], 10 without."""
    if len(args) > 1:
        raise _bad_arguments("LOG")
    acl = context.server.acl
    if args and args[0].upper() == b"RESET":
        acl.forget_denied()
        return resp.OK
    count = command.integer(args[0]) if args else 10
    return [resp.Map([(b"count", times), (b"reason", denied.reason), (b"context", denied.context),
                      (b"object", denied.object), (b"username", denied.username.encode("utf-8", "surrogateescape")),
                      (b"age-seconds", resp.Double(age_s)), (b"client-info", denied.client)])
            for times, age_s, denied in acl.denied(count)]


def save(context, args):
    """Write all users to the ACL file."""
    context.server.save_users()
    return resp.OK


def load(context, args):
    """Have the users of the ACL file in the place of those there are."""
    context.server.load_users()
    return resp.OK


def commands_over(table):
    """ACL, which describes the users' rights to the commands of the given table (name -> Command)."""
    return (container(b"ACL", (
        (b"CAT", cat, -2, _ASKS),
        (b"DELUSER", deluser, -3, _RULES),
        (b"DRYRUN", _dryrun_over(table), -4, _RULES),
        (b"GENPASS", genpass, -2, _ASKS),
        (b"GETUSER", getuser, 3, _RULES),
        (b"LIST", list_, 2, _RULES),
        (b"LOAD", load, 2, _RULES),
        (b"LOG", log, -2, _RULES),
        (b"SAVE", save, 2, _RULES),
        (b"SETUSER", setuser, -3, _RULES),
        (b"USERS", users, 2, _RULES),
        (b"WHOAMI", whoami, 2, _ASKS),
    )),)
