"""GEO: places in sorted sets, their scores being the 52 bits of engine/geohash."""

from ... import errors
from ...formats import resp
from .. import geohash
from ..structures.zsets import SortedSet
from . import floats, scores
from .command import READ, WRITE_OOM, Command, integer, syntax_error
from .zsets import add_pairs

_UNITS_M = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}
_ADD_OPTIONS = frozenset((b"NX", b"XX", b"CH"))
_NOT_DECODED = "could not decode requested zset member"
STORE_MOVABLE = WRITE_OOM | {"movablekeys"}


def _unit(word):
    unit_m = _UNITS_M.get(word.upper())
    if unit_m is None:
        raise errors.CommandError("unsupported unit provided. please use M, KM, FT, MI")
    return unit_m


def _place(words):
    """(longitude, latitude) of two words."""
    longitude, latitude = floats.number(words[0]), floats.number(words[1])
    if abs(longitude) > geohash.LONGITUDE_MAX or abs(latitude) > geohash.LATITUDE_MAX:
        raise errors.CommandError("invalid longitude,latitude pair %f,%f" % (longitude, latitude))
    return longitude, latitude


def _shown_distance(metres):
    return b"%.4f" % metres


# -- one place or two -------------------------------------------------------------------------------------------------


def geoadd(context, args):
    """Add places, longitude latitude member: NX XX CH; how many were added (CH: or moved)."""
    options, index = set(), 1
    while index < len(args) and args[index].upper() in _ADD_OPTIONS:
        options.add(args[index].upper())
        index += 1
    words = args[index:]
    if not words or len(words) % 3 or options >= {b"NX", b"XX"}:
        raise syntax_error()
    pairs = [(float(geohash.bits_of(geohash.cell_of(*_place(words[at:at + 2])))), words[at + 2])
             for at in range(0, len(words), 3)]
    return add_pairs(context, args[0], options, pairs)


def _places(context, key, members):
    """[score or None] of members."""
    found = context.keyspace.structure(key, SortedSet)
    return [None if found is None else found.scores.get(member) for member in members]


def geodist(context, args):
    """How far two members are from each other: [M|KM|FT|MI]."""
    unit_m = 1.0
    if len(args) == 4:
        unit_m = _unit(args[3])
    elif len(args) > 4:
        raise syntax_error()
    start, end = _places(context, args[0], args[1:3])
    if start is None or end is None:
        return None
    return _shown_distance(geohash.distance(geohash.place_of(start), geohash.place_of(end)) / unit_m)


def geohash_(context, args):
    """The geohashes of members, eleven letters each."""
    return [None if score is None else geohash.text_of(score) for score in _places(context, args[0], args[1:])]


def geopos(context, args):
    """The longitudes and latitudes of members."""
    return [resp.NULL_ARRAY if score is None else _shown_place(geohash.place_of(score))
            for score in _places(context, args[0], args[1:])]


def _shown_place(place):
    return [resp.LongDouble(place[0]), resp.LongDouble(place[1])]


# -- searching --------------------------------------------------------------------------------------------------------


class _Search(object):
    """What a search asks for."""

    __slots__ = ("middle", "shape", "order", "count", "any", "target", "stores_distances", "with_distance",
                 "with_hash", "with_place")

    def __init__(self):
        self.middle = self.shape = self.order = self.target = None
        self.count = 0
        self.any = self.stores_distances = self.with_distance = self.with_hash = self.with_place = False


def _circle(words):
    radius = floats.number(words[0], "need numeric radius")
    if radius < 0:
        raise errors.CommandError("radius cannot be negative")
    return geohash.Circle(radius, _unit(words[1]))


def _box(words):
    width = floats.number(words[0], "need numeric width")
    height = floats.number(words[1], "need numeric height")
    if width < 0 or height < 0:
        raise errors.CommandError("height or width cannot be negative")
    return geohash.Box(width, height, _unit(words[2]))


def _place_of_member(zset, member):
    """The place of a member; without a set there is no answer either, and none is needed."""
    if zset is None:
        return 0.0, 0.0
    score = zset.scores.get(member)
    if score is None:
        raise errors.CommandError(_NOT_DECODED)
    return geohash.place_of(score)


_NOWHERE = geohash.Circle(0.0, 1.0)
_ANSWERS = {b"WITHDIST": "with_distance", b"WITHHASH": "with_hash", b"WITHCOORD": "with_place", b"ANY": "any"}
_ORDERS = (b"ASC", b"DESC")


def _read_option(search, words, index):
    """Read the option of every search at an index; the index behind it, or 0 where there is none."""
    option, left = words[index].upper(), len(words) - index - 1
    if option in _ANSWERS:
        setattr(search, _ANSWERS[option], True)
    elif option in _ORDERS:
        search.order = option
    elif option == b"COUNT" and left:
        search.count = integer(words[index + 1])
        if search.count <= 0:
            raise errors.CommandError("COUNT must be > 0")
        return index + 2
    else:
        return 0
    return index + 1


def _read_area(search, words, index, zset, marks):
    """The same for an option of GEOSEARCH that says where to look; `marks` are those that were there."""
    option, left = words[index].upper(), len(words) - index - 1
    if option == b"FROMMEMBER" and left >= 1 and b"FROMLONLAT" not in marks:
        search.middle = _place_of_member(zset, words[index + 1])
        taken = 2
    elif option == b"FROMLONLAT" and left >= 2 and b"FROMMEMBER" not in marks:
        search.middle = _place(words[index + 1:index + 3])
        taken = 3
    elif option == b"BYRADIUS" and left >= 2 and b"BYBOX" not in marks:
        search.shape = _circle(words[index + 1:index + 3])
        taken = 3
    elif option == b"BYBOX" and left >= 3 and b"BYRADIUS" not in marks:
        search.shape = _box(words[index + 1:index + 4])
        taken = 4
    else:
        return 0
    marks.add(option)
    return index + taken


def _read_radius(zset, args, by_member, may_store):
    """The _Search of GEORADIUS and GEORADIUSBYMEMBER."""
    search = _Search()
    if by_member:
        search.middle = _place_of_member(zset, args[1])
        index = 2
    else:
        search.middle = _place(args[1:3])
        index = 3
    # Without a set the radius of GEORADIUSBYMEMBER is not looked at.
    search.shape = _NOWHERE if by_member and zset is None else _circle(args[index:index + 2])
    index += 2
    while index < len(args):
        option = args[index].upper()
        if may_store and option in (b"STORE", b"STOREDIST") and index + 1 < len(args):
            search.target, search.stores_distances = args[index + 1], option == b"STOREDIST"
            index += 2
            continue
        index = _read_option(search, args, index)
        if not index:
            raise syntax_error()
    _check(search, "STORE option in GEORADIUS")
    return search


def _read_search(zset, words, name, target):
    """The _Search of GEOSEARCH and GEOSEARCHSTORE."""
    search, index, marks = _Search(), 0, set()
    search.target = target
    while index < len(words):
        if target is not None and words[index].upper() == b"STOREDIST":
            search.stores_distances = True
            index += 1
            continue
        index = _read_option(search, words, index) or _read_area(search, words, index, zset, marks)
        if not index:
            raise syntax_error()
    _check(search, "GEOSEARCHSTORE", name)
    return search


def _check(search, storing, name=None):
    if search.target is not None and (search.with_distance or search.with_hash or search.with_place):
        raise errors.CommandError("%s is not compatible with WITHDIST, WITHHASH and WITHCOORD options" % storing)
    if search.middle is None:
        raise errors.CommandError("exactly one of FROMMEMBER or FROMLONLAT can be specified for %s" % name)
    if search.shape is None:
        raise errors.CommandError("exactly one of BYRADIUS and BYBOX can be specified for %s" % name)
    if search.any and not search.count:
        raise errors.CommandError("the ANY argument requires COUNT argument")


def _found(zset, search):
    """[(metres, member, score)] of what a search finds, in its order."""
    enough = search.count if search.any else 0
    found, middle, distance_to = [], search.middle, search.shape.distance_to
    for low, behind in geohash.score_ranges(middle, search.shape):
        if enough and len(found) >= enough:
            break
        spans = zset.spans(zset.order.at_score(low), zset.order.at_score(behind))
        for member, score in zip(zset.order.members_of(spans), zset.order.scores_of(spans)):
            metres = distance_to(middle, geohash.place_of(score))
            if metres is not None:
                found.append((metres, member, score))
                if len(found) == enough:
                    break
    if search.order is not None or search.count and not search.any:
        found.sort(key=lambda row: row[0], reverse=search.order == b"DESC")
    return found[:search.count] if search.count else found


def _answer(context, zset, search, event):
    rows = [] if zset is None else _found(zset, search)
    unit_m = search.shape.unit_m
    if search.target is not None:
        chosen = {member: metres / unit_m if search.stores_distances else score for metres, member, score in rows}
        return scores.store_set(context, search.target, chosen, event)
    if not (search.with_distance or search.with_hash or search.with_place):
        return [member for _, member, _ in rows]
    answer = []
    for metres, member, score in rows:
        row = [member]
        if search.with_distance:
            row.append(_shown_distance(metres / unit_m))
        if search.with_hash:
            row.append(int(score))
        if search.with_place:
            row.append(_shown_place(geohash.place_of(score)))
        answer.append(row)
    return answer


def _radius(by_member, may_store):
    def search(context, args):
        zset = context.keyspace.structure(args[0], SortedSet)
        return _answer(context, zset, _read_radius(zset, args, by_member, may_store), b"georadiusstore")
    search.__doc__ = "The members around %s%s." % ("one of them" if by_member else "a place",
                                                   ": STORE STOREDIST" if may_store else "")
    return search


def geosearch(context, args):
    """The members in a circle or a box: FROMMEMBER FROMLONLAT BYRADIUS BYBOX COUNT ANY WITHDIST WITHHASH WITHCOORD."""
    zset = context.keyspace.structure(args[0], SortedSet)
    return _answer(context, zset, _read_search(zset, args[1:], "GEOSEARCH", None), None)


def geosearchstore(context, args):
    """Store what GEOSEARCH would find: STOREDIST; how many."""
    zset = context.keyspace.structure(args[1], SortedSet)
    return _answer(context, zset, _read_search(zset, args[2:], "GEOSEARCHSTORE", args[0]), b"geosearchstore")


def _keys_and_target(words):
    """For Command.keys: the set, and behind the last STORE or STOREDIST what is stored."""
    target = 0
    for index in range(5, len(words) - 1):
        if words[index].upper() in (b"STORE", b"STOREDIST"):
            target = index + 1
    return (1, target) if target else (1,)


COMMANDS = (
    Command(b"GEOADD", geoadd, -5, WRITE_OOM, 1, 1, 1),
    Command(b"GEODIST", geodist, -4, READ, 1, 1, 1),
    Command(b"GEOHASH", geohash_, -2, READ, 1, 1, 1),
    Command(b"GEOPOS", geopos, -2, READ, 1, 1, 1),
    Command(b"GEORADIUS", _radius(False, True), -6, STORE_MOVABLE, 1, 1, 1, keys=_keys_and_target),
    Command(b"GEORADIUS_RO", _radius(False, False), -6, READ, 1, 1, 1),
    Command(b"GEORADIUSBYMEMBER", _radius(True, True), -5, STORE_MOVABLE, 1, 1, 1, keys=_keys_and_target),
    Command(b"GEORADIUSBYMEMBER_RO", _radius(True, False), -5, READ, 1, 1, 1),
    Command(b"GEOSEARCH", geosearch, -7, READ, 1, 1, 1),
    Command(b"GEOSEARCHSTORE", geosearchstore, -8, WRITE_OOM, 1, 2, 1),
)
