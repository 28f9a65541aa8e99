"""Commands of places on the earth."""

from ..exceptions import DataError
from .arguments import flags

_UNITS = ("m", "km", "mi", "ft")
_ORDERS = ("ASC", "DESC")


class GeoCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def geoadd(self, name, values, nx=False, xx=False, ch=False):
        """Add places: longitude, latitude, name, and so on; how many are new (with `ch`: new or changed)."""
        if nx and xx:
            raise DataError("GEOADD allows either 'nx' or 'xx', not both")
        if len(values) % 3:
            raise DataError("GEOADD requires places with lon, lat and name values")
        return self.execute_command("GEOADD", name, *(flags((nx, "NX"), (xx, "XX"), (ch, "CH")) + list(values)))

    def geodist(self, name, place1, place2, unit=None):
        """How far two places are apart, or None."""
        _check_unit("GEODIST", unit or "m")
        return self.execute_command("GEODIST", name, place1, place2, *([unit] if unit else []))

    def geohash(self, name, *values):
        """The geohashes of places."""
        return self.execute_command("GEOHASH", name, *values)

    def geopos(self, name, *values):
        """(longitude, latitude) of places, None for one that is not there."""
        return self.execute_command("GEOPOS", name, *values)

    def georadius(self, name, longitude, latitude, radius, unit=None, withdist=False, withcoord=False, withhash=False,
                  count=None, sort=None, store=None, store_dist=None, any=False):
        """Places around a point; with what else is wanted each is a list: name, distance, hash, position."""
        return self._radius(["GEORADIUS", name, longitude, latitude, radius], unit=unit, withdist=withdist,
                            withcoord=withcoord, withhash=withhash, count=count, sort=sort, store=store,
                            store_dist=store_dist, any=any)

    def georadiusbymember(self, name, member, radius, unit=None, withdist=False, withcoord=False, withhash=False,
                          count=None, sort=None, store=None, store_dist=None, any=False):
        """georadius() around a place."""
        return self._radius(["GEORADIUSBYMEMBER", name, member, radius], unit=unit, withdist=withdist,
                            withcoord=withcoord, withhash=withhash, count=count, sort=sort, store=store,
                            store_dist=store_dist, any=any)

    def _radius(self, words, **options):
        unit, count, sort = options["unit"] or "m", options["count"], options["sort"]
        _check_unit("GEORADIUS", unit)
        if options["any"] and count is None:
            raise DataError("``any`` can't be provided without ``count``")
        if sort and sort not in _ORDERS:
            raise DataError("GEORADIUS invalid sort")
        if options["store"] and options["store_dist"]:
            raise DataError("GEORADIUS store and store_dist cant be set together")
        words = words + [unit] + _wanted(options)
        if count is not None:
            words += ["COUNT", count] + flags((options["any"], "ANY"))
        words += [sort] if sort else []
        for word, key in (("STORE", options["store"]), ("STOREDIST", options["store_dist"])):
            words += [word, key] if key else []
        return self.execute_command(*words, **options)

    def geosearch(self, name, member=None, longitude=None, latitude=None, unit="m", radius=None, width=None,
                  height=None, sort=None, count=None, any=False, withcoord=False, withdist=False, withhash=False):
        """Places in a circle (`radius`) or a box (`width`, `height`) around a place or a point; as georadius()."""
        return self._search(["GEOSEARCH", name], member=member, longitude=longitude, latitude=latitude, unit=unit,
                            radius=radius, width=width, height=height, sort=sort, count=count, any=any,
                            withcoord=withcoord, withdist=withdist, withhash=withhash, store=None, store_dist=None)

    def geosearchstore(self, dest, name, member=None, longitude=None, latitude=None, unit="m", radius=None, width=None,
                       height=None, sort=None, count=None, any=False, storedist=False):
        """geosearch(), stored, with the distances as scores if wanted; how many places it has."""
        return self._search(["GEOSEARCHSTORE", dest, name], member=member, longitude=longitude, latitude=latitude,
                            unit=unit, radius=radius, width=width, height=height, sort=sort, count=count, any=any,
                            withcoord=None, withdist=None, withhash=None, store=None, store_dist=storedist)

    def _search(self, words, **options):
        sort, count = options["sort"], options["count"]
        words = words + _center(options) + _shape(options)
        if sort and sort.upper() not in _ORDERS:
            raise DataError("GEOSEARCH invalid sort")
        if options["any"] and not count:
            raise DataError("GEOSEARCH ``any`` can't be provided without count")
        words += [sort.upper()] if sort else []
        words += (["COUNT", count] + flags((options["any"], "ANY"))) if count else []
        words += _wanted(options) + flags((options["store_dist"], "STOREDIST"))
        return self.execute_command(*words, **options)


def _check_unit(command, unit):
    if unit not in _UNITS:
        raise DataError("%s invalid unit" % command)


def _wanted(options):
    return flags((options["withdist"], "WITHDIST"), (options["withcoord"], "WITHCOORD"),
                 (options["withhash"], "WITHHASH"))


def _center(options):
    member, longitude, latitude = options["member"], options["longitude"], options["latitude"]
    if member is None and (longitude is None or latitude is None):
        raise DataError("GEOSEARCH must have member or longitude and latitude")
    if member and (longitude or latitude):
        raise DataError("GEOSEARCH member and longitude or latitude cant be set together")
    return ["FROMMEMBER", member] if member else ["FROMLONLAT", longitude, latitude]


def _shape(options):
    radius, width, height, unit = options["radius"], options["width"], options["height"], options["unit"]
    if radius is None and (width is None or height is None):
        raise DataError("GEOSEARCH must have radius or width and height")
    if unit is None:
        raise DataError("GEOSEARCH must have unit")
    _check_unit("GEOSEARCH", unit.lower())
    if radius and (width or height):
        raise DataError("GEOSEARCH radius and width or height cant be set together")
    return ["BYRADIUS", radius, unit] if radius else ["BYBOX", width, height, unit]
