"""Commands about clients and users."""

from ..exceptions import DataError
from .arguments import flags, listed

_KILLED_TYPES = ("normal", "master", "slave", "pubsub")
_LISTED_TYPES = ("normal", "master", "replica", "pubsub")
_REPLIES = ["ON", "OFF", "SKIP"]


class ClientCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def auth(self, password, username=None, **kwargs):
        """Log in on one connection: only of use with single_connection_client."""
        return self.execute_command("AUTH", *(([] if username is None else [username]) + [password]), **kwargs)

    def client_kill(self, address, **kwargs):
        """End the connection of an address."""
        return self.execute_command("CLIENT KILL", address, **kwargs)

    def client_kill_filter(self, _id=None, _type=None, addr=None, skipme=None, laddr=None, user=None, maxage=None,
                           **kwargs):
        """End the connections that all of this is true of; how many."""
        if _type is not None and str(_type).lower() not in _KILLED_TYPES:
            raise DataError("CLIENT KILL type must be one of %r" % (_KILLED_TYPES,))
        if skipme is not None and not isinstance(skipme, bool):
            raise DataError("CLIENT KILL skipme must be a bool")
        words = []
        for word, value in (("TYPE", _type), ("SKIPME", None if skipme is None else "YES" if skipme else "NO"),
                            ("ID", _id), ("ADDR", addr), ("LADDR", laddr), ("USER", user), ("MAXAGE", maxage)):
            words += [] if value is None else [word, value]
        if not words:
            raise DataError("CLIENT KILL <filter> <value> ... ... <filter> <value> must specify at least one filter")
        return self.execute_command("CLIENT KILL", *words, **kwargs)

    def client_info(self, **kwargs):
        """This connection, a dict."""
        return self.execute_command("CLIENT INFO", **kwargs)

    def client_list(self, _type=None, client_id=(), **kwargs):
        """All connections, a list of dicts; or those of a type, or with these ids, a list of str."""
        if _type is not None and str(_type).lower() not in _LISTED_TYPES:
            raise DataError("CLIENT LIST _type must be one of %r" % (_LISTED_TYPES,))
        if not isinstance(client_id, list) and client_id != ():
            raise DataError("client_id must be a list")
        words = ([] if _type is None else ["TYPE", _type]) + (["ID"] + list(client_id) if client_id else [])
        return self.execute_command("CLIENT LIST", *words, **kwargs)

    def client_getname(self, **kwargs):
        """The name of this connection."""
        return self.execute_command("CLIENT GETNAME", **kwargs)

    def client_getredir(self, **kwargs):
        """Where messages of tracking go to."""
        return self.execute_command("CLIENT GETREDIR", **kwargs)

    def client_reply(self, reply, **kwargs):
        """Turn replies "ON", "OFF", or "SKIP" one; without a reply this waits for one until socket_timeout."""
        if reply not in _REPLIES:
            raise DataError("CLIENT REPLY must be one of %r" % _REPLIES)
        return self.execute_command("CLIENT REPLY", reply, **kwargs)

    def client_id(self, **kwargs):
        """The number of this connection."""
        return self.execute_command("CLIENT ID", **kwargs)

    def client_tracking_on(self, clientid=None, prefix=(), bcast=False, optin=False, optout=False, noloop=False):
        """client_tracking(True)."""
        return self.client_tracking(True, clientid, prefix, bcast, optin, optout, noloop)

    def client_tracking_off(self, clientid=None, prefix=(), bcast=False, optin=False, optout=False, noloop=False):
        """client_tracking(False)."""
        return self.client_tracking(False, clientid, prefix, bcast, optin, optout, noloop)

    def client_tracking(self, on=True, clientid=None, prefix=(), bcast=False, optin=False, optout=False, noloop=False,
                        **kwargs):
        """Be told of changes of what was read, or not any more."""
        if len(prefix) and not bcast:
            raise DataError("Prefix can only be used with bcast")
        words = ["ON" if on else "OFF"] + ([] if clientid is None else ["REDIRECT", clientid])
        for item in prefix:
            words += ["PREFIX", item]
        words += flags((bcast, "BCAST"), (optin, "OPTIN"), (optout, "OPTOUT"), (noloop, "NOLOOP"))
        return self.execute_command("CLIENT TRACKING", *words)

    def client_trackinginfo(self, **kwargs):
        """How this connection tracks."""
        return self.execute_command("CLIENT TRACKINGINFO", **kwargs)

    def client_setname(self, name, **kwargs):
        """Give this connection a name: see `client_name` for all of a pool."""
        return self.execute_command("CLIENT SETNAME", name, **kwargs)

    def client_setinfo(self, attr, value, **kwargs):
        """Say which library this is."""
        return self.execute_command("CLIENT SETINFO", attr, value, **kwargs)

    def client_unblock(self, client_id, error=False, **kwargs):
        """End the wait of another connection; whether it waited."""
        return self.execute_command("CLIENT UNBLOCK", int(client_id), *flags((error, "ERROR")), **kwargs)

    def client_pause(self, timeout, all=True, **kwargs):
        """Let clients wait for so many ms; with all=False only those that write."""
        if not isinstance(timeout, int):
            raise DataError("CLIENT PAUSE timeout must be an integer")
        return self.execute_command("CLIENT PAUSE", timeout, *flags((not all, "WRITE")), **kwargs)

    def client_unpause(self, **kwargs):
        """End client_pause()."""
        return self.execute_command("CLIENT UNPAUSE", **kwargs)

    def client_no_evict(self, mode):
        """Whether this connection is spared where memory is short: "ON" or "OFF"."""
        return self.execute_command("CLIENT NO-EVICT", mode)

    def client_no_touch(self, mode):
        """Whether reads of this connection do not count as use: "ON" or "OFF"."""
        return self.execute_command("CLIENT NO-TOUCH", mode)

    def quit(self, **kwargs):
        """Let the server end this connection."""
        return self.execute_command("QUIT", **kwargs)


class AclCommands(object):
    """Commands about users."""

    def acl_cat(self, category=None, **kwargs):
        """The categories, or the commands of one."""
        return self.execute_command("ACL CAT", *([category] if category else []), **kwargs)

    def acl_dryrun(self, username, *args, **kwargs):
        """Whether a user may run a command: OK, or why not."""
        return self.execute_command("ACL DRYRUN", username, *args, **kwargs)

    def acl_deluser(self, *username, **kwargs):
        """Delete users; how many."""
        return self.execute_command("ACL DELUSER", *username, **kwargs)

    def acl_genpass(self, bits=None, **kwargs):
        """A password of so many bits."""
        words = []
        if bits is not None:
            try:
                words = [int(bits)]
            except ValueError:
                words = [-1]
            if not 0 <= words[0] <= 4096:
                raise DataError("genpass optionally accepts a bits argument, between 0 and 4096.")
        return self.execute_command("ACL GENPASS", *words, **kwargs)

    def acl_getuser(self, username, **kwargs):
        """A user, a dict, or None."""
        return self.execute_command("ACL GETUSER", username, **kwargs)

    def acl_help(self, **kwargs):
        """What ACL can do."""
        return self.execute_command("ACL HELP", **kwargs)

    def acl_list(self, **kwargs):
        """The rules of all users."""
        return self.execute_command("ACL LIST", **kwargs)

    def acl_log(self, count=None, **kwargs):
        """What was refused, a list of dicts."""
        if count is not None and not isinstance(count, int):
            raise DataError("ACL LOG count must be an integer")
        return self.execute_command("ACL LOG", *([] if count is None else [count]), **kwargs)

    def acl_log_reset(self, **kwargs):
        """Forget what was refused."""
        return self.execute_command("ACL LOG", "RESET", **kwargs)

    def acl_load(self, **kwargs):
        """Read the users from the server's file."""
        return self.execute_command("ACL LOAD", **kwargs)

    def acl_save(self, **kwargs):
        """Write the users into the server's file."""
        return self.execute_command("ACL SAVE", **kwargs)

    def acl_setuser(self, username, enabled=False, nopass=False, passwords=None, hashed_passwords=None,
                    categories=None, commands=None, keys=None, channels=None, selectors=None, reset=False,
                    reset_keys=False, reset_channels=False, reset_passwords=False, **kwargs):
        """Make or change a user.

        Passwords, hashed passwords, categories and commands begin with + or -; keys and channels are patterns;
        selectors are pairs of a command and a key pattern.
        """
        if (passwords or hashed_passwords) and nopass:
            raise DataError("Cannot set 'nopass' and supply 'passwords' or 'hashed_passwords'")
        encode = self.get_encoder().encode
        words = [username] + flags((reset, "reset"), (reset_keys, "resetkeys"), (reset_channels, "resetchannels"),
                                   (reset_passwords, "resetpass")) + ["on" if enabled else "off"]
        words += _signed("Password", listed(passwords or ()), encode, b">", b"<")
        words += _signed("Hashed password", listed(hashed_passwords or ()), encode, b"#", b"!")
        words += flags((nopass, "nopass"))
        words += [_category(encode(category)) for category in categories or ()]
        words += [_command(encode(command)) for command in commands or ()]
        words += [_key(encode(key)) for key in keys or ()]
        words += [b"&" + encode(channel) for channel in channels or ()]
        words += [b"(%b %b)" % (_command(encode(command)), _key(encode(key))) for command, key in selectors or ()]
        return self.execute_command("ACL SETUSER", *words, **kwargs)

    def acl_users(self, **kwargs):
        """The names of all users."""
        return self.execute_command("ACL USERS", **kwargs)

    def acl_whoami(self, **kwargs):
        """The name of this connection's user."""
        return self.execute_command("ACL WHOAMI", **kwargs)


def _signed(what, passwords, encode, add, remove):
    words = []
    for index, password in enumerate(map(encode, passwords)):
        if password[:1] not in (b"+", b"-"):
            raise DataError('%s %d must be prefixed with a "+" to add or a "-" to remove' % (what, index))
        words.append((add if password[:1] == b"+" else remove) + password[1:])
    return words


def _category(category):
    sign, name = category[:1], category[1:]
    if sign not in (b"+", b"-"):
        raise DataError('Category "%s" must be prefixed with "+" or "-"' % category.decode("utf-8", "replace"))
    return sign + (name if name[:1] == b"@" else b"@" + name)


def _command(command):
    if command[:1] not in (b"+", b"-"):
        raise DataError('Command "%s" must be prefixed with "+" or "-"' % command.decode("utf-8", "replace"))
    return command


def _key(key):
    return key if key[:1] in (b"%", b"~") else b"~" + key
