"""Replies of data commands as the objects that redis-py returns for them.

Each function takes the reply, and the options that the command's method gave: those it does not know it ignores.
"""


def text(reply, **options):
    """str for bytes, everything else as it is."""
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply


def texts(reply, **options):
    """A list of str."""
    return [text(item) for item in reply]


def ok(reply, **options):
    """Whether the reply is OK."""
    return reply in (b"OK", "OK")


def truth(reply, **options):
    """Whether a number is not 0."""
    return bool(reply)


def always_true(reply, **options):
    """For commands that answer with a sentence."""
    return True


def number(reply, **options):
    """A float."""
    return float(reply)


def number_or_none(reply, **options):
    """A float, None for none."""
    return None if reply is None else float(reply)


def numbers_or_none(reply, **options):
    """A list of floats and None."""
    return [number_or_none(item) for item in reply]


def as_is(reply, **options):
    """Nothing is to be done."""
    return reply


def truths(reply, **options):
    """A list of bool."""
    return [bool(item) for item in reply]


def as_set(reply, **options):
    """A set of members."""
    return set(reply) if reply else set()


def as_tuple(reply, **options):
    """A tuple, None for none."""
    return tuple(reply) if reply else None


def popped_with_score(reply, **options):
    """(key, member, score), None for none."""
    return (reply[0], reply[1], float(reply[2])) if reply else None


def pairs(reply):
    """A dict of a flat list of names and values, or of a map."""
    if not reply:
        return {}
    if isinstance(reply, dict):
        return reply
    items = iter(reply)
    return dict(zip(items, items))


def as_dict(reply, **options):
    """A dict of a flat list."""
    return pairs(reply)


def named(reply, **options):
    """A dict with names as str, of a flat list or a map."""
    return {text(name): value for name, value in pairs(reply).items()}


def named_texts(reply, **options):
    """A dict with names and values as str."""
    return {text(name): text(value) for name, value in pairs(reply).items()}


def list_of_named(reply, **options):
    """A list of dicts with names as str."""
    return [named(item) for item in reply]


def scored(reply, withscores=False, score_cast_func=float, **options):
    """Pairs of member and score where scores were asked for."""
    if not reply or not withscores:
        return reply
    items = iter(reply)
    return list(zip(items, map(score_cast_func, items)))


def grouped(reply, groups=0, **options):
    """Tuples of so many items where SORT was asked for groups."""
    if not reply or not groups:
        return reply
    return [tuple(reply[start:start + groups]) for start in range(0, len(reply) - groups + 1, groups)]


def stored(reply, get=False, **options):
    """Of SET: whether it did, or what was there before."""
    return reply if get else (reply and ok(reply))


def added(reply, as_score=False, **options):
    """Of ZADD: how many, or the new score."""
    if reply is None:
        return None
    return float(reply) if as_score else int(reply)


def scanned(reply, **options):
    """(cursor, items)."""
    return int(reply[0]), reply[1]


def scanned_fields(reply, no_values=False, **options):
    """(cursor, dict), or the names alone."""
    return int(reply[0]), (reply[1] or []) if no_values else pairs(reply[1])


def scanned_scores(reply, score_cast_func=float, **options):
    """(cursor, pairs of member and score)."""
    items = iter(reply[1])
    return int(reply[0]), list(zip(items, map(score_cast_func, items)))


def positions(reply, **options):
    """A list of (longitude, latitude) and None."""
    return [None if place is None else (float(place[0]), float(place[1])) for place in reply]


def found_places(reply, store=None, store_dist=None, withdist=None, withcoord=False, withhash=False, **options):
    """Places, each a list with what was asked for as well."""
    if withdist is None or store or store_dist:
        return reply  # a count, or a command that was written out by hand
    places = reply if isinstance(reply, list) else [reply]
    casts = [cast for asked, cast in ((withdist, float), (withhash, int), (withcoord, _position)) if asked]
    if not casts:
        return places
    return [[place[0]] + [cast(value) for cast, value in zip(casts, place[1:])] for place in places]


def _position(pair):
    return float(pair[0]), float(pair[1])


def common_string(reply, len=False, idx=False, withmatchlen=False, **options):
    """Of STRALGO: the text, its length, or where it is."""
    if len:
        return int(reply)
    if not idx:
        return text(reply)
    if withmatchlen:
        matches = [[int(match[-1])] + [tuple(span) for span in match[:-1]] for match in reply[1]]
    else:
        matches = [[tuple(span) for span in match] for match in reply[1]]
    return {text(reply[0]): matches, text(reply[2]): int(reply[3])}


def common_string_named(reply, **options):
    """The same of a map."""
    return named_texts(reply) if isinstance(reply, dict) else text(reply)
