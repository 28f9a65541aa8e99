"""What the words of lock commands say: options in any order, tokens, and what is told about a lock."""

from ... import limits
from ...errors import CommandError
from ...formats import resp
from ..locks import holders
from ..locks.table import EXCLUSIVE, SHARED, TOKEN_MAX, UNITS, Request
from .command import bounded, integer, syntax_error

_FLAGS = frozenset((b"SHARED", b"REENTRANT", b"DETACHED"))
_NUMBERS = {b"LIMIT": limits.LOCK_UNITS_MAX, b"UNITS": limits.LOCK_UNITS_MAX, b"TTL": limits.TTL_MS_MAX,
            b"REQUEST": (1 << 63) - 1}
_TEXTS = frozenset((b"THREAD", b"INFO"))
FOR_EVER = -1


def read_options(words):
    """{option: number, text or True} of words behind a lock's name.  Raises CommandError."""
    found, position = {}, 0
    while position < len(words):
        option = words[position].upper()
        position += 1
        if option in _FLAGS:
            found[option] = True
            continue
        if position == len(words):
            raise syntax_error()
        word = words[position]
        position += 1
        if option in _NUMBERS:
            found[option] = bounded(word, _NUMBERS[option], option.decode())
        elif option == b"WAIT":
            found[option] = wait_ms(word)
        elif option in _TEXTS:
            found[option] = text(word)
        else:
            raise syntax_error()
    return found


def request_of(context, names, options, reply):
    """The Request that options describe; reply(grants) is what one who has waited for it is answered."""
    session, thread = context.session, options.get(b"THREAD", b"")
    limit, units = options.get(b"LIMIT", 0), options.get(b"UNITS", 1)
    shared, reentrant, detached = (option in options for option in (b"SHARED", b"REENTRANT", b"DETACHED"))
    if b"LIMIT" in options and not 0 < units <= limit or b"UNITS" in options and not limit:
        raise CommandError("%d units of a lock with a limit of %d can never be had" % (units, limit))
    if limit and (shared or reentrant):
        raise CommandError("a lock with a limit is neither SHARED nor REENTRANT: ask for another number of UNITS")
    if detached and (not options.get(b"TTL") or reentrant):
        raise CommandError("a lock that its token owns needs a TTL, or nobody could ever give it back, and it is not "
                           "REENTRANT")
    if reentrant and len(names) > 1:
        raise CommandError("several locks together are not REENTRANT")
    mode = UNITS if limit else SHARED if shared else EXCLUSIVE
    owner, node = (None, None) if detached else (session, holders.node_of(session, thread))
    request = Request(names, owner, context.server.locks.holder(session), node, mode, units, limit, reentrant,
                      options.get(b"TTL", 0), thread, options.get(b"REQUEST", 0), options.get(b"INFO", b""), detached,
                      1, reply)
    return request


def wait_ms(word):
    """For how many milliseconds to wait, or FOR_EVER."""
    number = integer(word)
    if not FOR_EVER <= number <= limits.TTL_MS_MAX:
        raise CommandError("a wait is a number of milliseconds, or -1 for ever, and not %d" % number)
    return number


def text(word):
    if len(word) > limits.LOCK_TEXT_BYTES_MAX:
        raise CommandError("a text of %d bytes about a lock; the limit is %d"
                           % (len(word), limits.LOCK_TEXT_BYTES_MAX))
    return word


def token_of(word):
    """The token that a word is."""
    return bounded(word, TOKEN_MAX - 1, "a token")


def check_name(name):
    if len(name) > limits.KEY_SIZE_BYTES_MAX:
        raise CommandError("a name of %d bytes; the limit is %d" % (len(name), limits.KEY_SIZE_BYTES_MAX))


def check_outside_batch(context, what="a lock"):
    """Raise CommandError within a batch, which could be taken back."""
    if context.keyspace.staging:
        raise CommandError("%s cannot be part of a batch, which may be taken back: do it before and after; LOCK.CHECK "
                           "is for batches" % what)


def described(context, lock):
    """What is told about a Lock, as a map."""
    keyspace = context.keyspace
    offset_ms = keyspace.wall_ms() - keyspace.now_ms
    holding = [_of_grant(grant, offset_ms, keyspace.now_ms) for grant in lock.holders.values()]
    waiting = [_of_request(request, offset_ms) for request in lock.queue]
    return resp.Map([(b"limit", lock.limit), (b"token", lock.last_token), (b"holders", holding),
                     (b"waiters", waiting)])


def nothing_described():
    """The same of a lock that nobody uses."""
    return resp.Map([(b"limit", 0), (b"token", 0), (b"holders", []), (b"waiters", [])])


def _of_grant(grant, offset_ms, now_ms):
    ttl_ms = max(grant.deadline_ms - now_ms, 0) if grant.deadline_ms else -1
    return _map(grant.asked, grant.token, grant.since_ms + offset_ms, ttl_ms, grant.units,
                [(b"depth", grant.depth), (b"absent", int(grant.absent))])


def _of_request(request, offset_ms):
    return _map(request, 0, request.since_ms + offset_ms, request.ttl_ms or -1, request.units, [])


def _map(asked, token, since_ms, ttl_ms, units, more):
    who = asked.who
    return resp.Map([(b"token", token), (b"pid", who.pid), (b"uid", who.uid), (b"host", who.host),
                     (b"session", who.session), (b"thread", asked.thread), (b"since_ms", since_ms),
                     (b"ttl_ms", ttl_ms), (b"mode", asked.mode), (b"units", units), (b"info", asked.info),
                     (b"command", who.command)] + more)
