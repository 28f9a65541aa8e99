"""CLIENT TRACKING and its relatives: caches of clients that hear of changes (engine/tracking)."""

from ... import errors
from ...formats import resp
from . import command
from .command import CONNECTION, syntax_error

_ORDINARY = CONNECTION | {"noscript", "loading", "stale"}
_SWITCHES = (b"BCAST", b"OPTIN", b"OPTOUT", b"NOLOOP")
_OTHER_MODE = "before disabling tracking for this client, and then re-enabling it with a different mode."


def tracking(context, args):
    """Track or not: ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]."""
    session = context.session
    if not context.may_push:
        raise errors.CommandError("only a connection of its own can be told of changes: send this over the socket")
    redirect, prefixes, switches = _options(context, args[1:])
    mode = args[0].upper()
    if mode == b"ON":
        _check(session.tracking, prefixes, switches)
        context.tracking.begin(session, redirect, *[name in switches for name in _SWITCHES], prefixes)
    elif mode == b"OFF":
        context.tracking.session_ended(session)
    else:
        raise syntax_error()
    return resp.OK


def _options(context, words):
    """(redirect, prefixes, switches) that the words say."""
    redirect, prefixes, switches, index = 0, [], set(), 0
    while index < len(words):
        word = words[index].upper()
        if word in _SWITCHES:
            switches.add(word)
        elif word == b"PREFIX" and index + 1 < len(words):
            index += 1
            prefixes.append(words[index])
        elif word == b"REDIRECT" and index + 1 < len(words):
            index += 1
            if redirect:
                raise errors.CommandError("A client can only redirect to a single other client")
            redirect = command.integer(words[index])
            if context.tracking.find(redirect) is None:
                raise errors.CommandError("The client ID you want redirect to does not exist")
        else:
            raise syntax_error()
        index += 1
    return redirect, prefixes, switches


def _check(tracked, prefixes, switches):
    """What goes together, and with how the session tracks already."""
    broadcast, optin, optout = b"BCAST" in switches, b"OPTIN" in switches, b"OPTOUT" in switches
    if prefixes and not broadcast:
        raise errors.CommandError("PREFIX option requires BCAST mode to be enabled")
    if tracked is not None and tracked.broadcast != broadcast:
        raise errors.CommandError("You can't switch BCAST mode on/off " + _OTHER_MODE)
    if broadcast and (optin or optout):
        raise errors.CommandError("OPTIN and OPTOUT are not compatible with BCAST")
    if optin and optout:
        raise errors.CommandError("You can't specify both OPTIN mode and OPTOUT mode")
    if tracked is not None and (optin and tracked.optout or optout and tracked.optin):
        raise errors.CommandError("You can't switch OPTIN/OPTOUT mode " + _OTHER_MODE)
    _check_prefixes(sorted(tracked.prefixes) if tracked is not None else (), prefixes)


def _check_prefixes(existing, prefixes):
    """No change is told twice to one client."""
    for index, prefix in enumerate(prefixes):
        for others, which in ((existing, "an existing prefix"), (prefixes[index + 1:], "another provided prefix")):
            for other in others:
                if other.startswith(prefix) or prefix.startswith(other):
                    raise errors.CommandError("Prefix '%s' overlaps with %s '%s'. Prefixes for a single client must "
                                              "not overlap." % (command.shown(prefix), which, command.shown(other)))


def caching(context, args):
    """Have what the next command reads remembered (YES), or not remembered (NO)."""
    tracked, mode = context.session.tracking, args[0].upper()
    if tracked is None:
        raise errors.CommandError("CLIENT CACHING can be called only when the client is in tracking mode with OPTIN "
                                  "or OPTOUT mode enabled")
    if mode not in (b"YES", b"NO"):
        raise syntax_error()
    if mode == b"YES" and not tracked.optin:
        raise errors.CommandError("CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
    if mode == b"NO" and not tracked.optout:
        raise errors.CommandError("CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
    tracked.caching = True
    return resp.OK


def getredir(context, args):
    """Who is told in the place of this connection: its number, 0 for nobody else, -1 where it does not track."""
    tracked = context.session.tracking
    return -1 if tracked is None else tracked.redirect


def trackinginfo(context, args):
    """How this connection tracks."""
    tracked = context.session.tracking
    if tracked is None:
        flags, prefixes = [b"off"], []
    else:
        letters = ((True, b"on"), (tracked.broadcast, b"bcast"), (tracked.optin, b"optin"),
                   (tracked.optin and tracked.caching, b"caching-yes"), (tracked.optout, b"optout"),
                   (tracked.optout and tracked.caching, b"caching-no"), (tracked.noloop, b"noloop"),
                   (tracked.broken, b"broken_redirect"))
        flags, prefixes = [name for holds, name in letters if holds], sorted(tracked.prefixes)
    return resp.Map([(b"flags", resp.Set(flags)), (b"redirect", getredir(context, args)), (b"prefixes", prefixes)])


ROWS = (
    (b"TRACKING", tracking, -3, _ORDINARY),
    (b"CACHING", caching, 3, _ORDINARY),
    (b"GETREDIR", getredir, 2, _ORDINARY),
    (b"TRACKINGINFO", trackinginfo, 2, _ORDINARY),
)
