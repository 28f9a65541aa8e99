"""Commands of strings, their bits, and HyperLogLogs."""

from ..exceptions import DataError
from . import arguments
from .arguments import flags, listed

_OPTIONS_EX = "``ex``, ``px``, ``exat``, ``pxat``, and ``persist`` are mutually exclusive."


class StringCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def append(self, key, value):
        """Append to a string; its new length."""
        return self.execute_command("APPEND", key, value)

    def decrby(self, name, amount=1):
        """Subtract from a number; the new one."""
        return self.execute_command("DECRBY", name, amount)

    decr = decrby

    def incrby(self, name, amount=1):
        """Add to a number; the new one."""
        return self.execute_command("INCRBY", name, amount)

    incr = incrby

    def incrbyfloat(self, name, amount=1.0):
        """Add to a number; the new one, a float."""
        return self.execute_command("INCRBYFLOAT", name, amount)

    def get(self, name):
        """The value, or None."""
        return self.execute_command("GET", name)

    def getdel(self, name):
        """The value, and delete it."""
        return self.execute_command("GETDEL", name)

    def getex(self, name, ex=None, px=None, exat=None, pxat=None, persist=False):
        """The value, and give it a deadline, or take its away."""
        given = [option for option in (ex, px, exat, pxat) if option is not None]
        if len(given) > 1 or given and persist:
            raise DataError(_OPTIONS_EX)
        words = []
        if ex is not None:
            words = ["EX", arguments.seconds(ex)]
        elif px is not None:
            words = ["PX", arguments.milliseconds(px)]
        elif exat is not None:
            words = ["EXAT", arguments.unix_seconds(exat)]
        elif pxat is not None:
            words = ["PXAT", arguments.unix_milliseconds(pxat)]
        return self.execute_command("GETEX", name, *(words + flags((persist, "PERSIST"))))

    def getrange(self, key, start, end):
        """Part of a string, the end included."""
        return self.execute_command("GETRANGE", key, start, end)

    def substr(self, name, start, end=-1):
        """getrange() by its old name."""
        return self.execute_command("SUBSTR", name, start, end)

    def getset(self, name, value):
        """Store a value; the one that was there."""
        return self.execute_command("GETSET", name, value)

    def mget(self, keys, *args):
        """The values of several keys, None where there is none."""
        names = listed(keys, args)
        return self.execute_command("MGET", *names, **({} if names else {"EMPTY_RESPONSE": []}))

    def mset(self, mapping):
        """Store several values."""
        return self.execute_command("MSET", *_flat(mapping))

    def msetnx(self, mapping):
        """Store several values if none of the keys is there; whether it did."""
        return self.execute_command("MSETNX", *_flat(mapping))

    def psetex(self, name, time_ms, value):
        """Store a value for so many milliseconds."""
        return self.execute_command("PSETEX", name, arguments.milliseconds(time_ms), value)

    def set(self, name, value, ex=None, px=None, nx=False, xx=False, keepttl=False, get=False, exat=None, pxat=None):
        """Store a value; True, None where nx or xx forbade it, or with `get` the value that was there.

        ex, px: for so many seconds, milliseconds, or a timedelta; exat, pxat: until a moment.
        """
        if ex is px is exat is pxat is None and not (nx or xx or keepttl or get):
            return self.execute_command("SET", name, value)
        words = [name, value]
        if ex is not None:
            words += ["EX", arguments.counted("ex", ex, arguments.seconds, "int")]
        if px is not None:
            words += ["PX", arguments.counted("px", px, arguments.milliseconds, "int")]
        if exat is not None:
            words += ["EXAT", arguments.unix_seconds(exat)]
        if pxat is not None:
            words += ["PXAT", arguments.unix_milliseconds(pxat)]
        words += flags((keepttl, "KEEPTTL"), (nx, "NX"), (xx, "XX"), (get, "GET"))
        return self.execute_command("SET", *words, **({"get": True} if get else {}))

    def setex(self, name, time, value):
        """Store a value for so many seconds."""
        return self.execute_command("SETEX", name, arguments.seconds(time), value)

    def setnx(self, name, value):
        """Store a value if the key is not there; whether it did."""
        return self.execute_command("SETNX", name, value)

    def setrange(self, name, offset, value):
        """Overwrite part of a string; its length."""
        return self.execute_command("SETRANGE", name, offset, value)

    def strlen(self, name):
        """The length in bytes."""
        return self.execute_command("STRLEN", name)

    def lcs(self, key1, key2, len=False, idx=False, minmatchlen=0, withmatchlen=False):
        """The longest common subsequence of two strings, its length, or where it is."""
        words = [key1, key2] + flags((len, "LEN"), (idx, "IDX"))
        if minmatchlen != 0:
            words += ["MINMATCHLEN", minmatchlen]
        return self.execute_command("LCS", *(words + flags((withmatchlen, "WITHMATCHLEN"))))

    def stralgo(self, algo, value1, value2, specific_argument="strings", len=False, idx=False, minmatchlen=None,
                withmatchlen=False, **kwargs):
        """lcs() of servers 6, of strings or keys."""
        if algo != "LCS":
            raise DataError("The supported algorithms are: LCS")
        if specific_argument not in ("keys", "strings"):
            raise DataError("specific_argument can be only keys or strings")
        if len and idx:
            raise DataError("len and idx cannot be provided together.")
        words = [algo, specific_argument.upper(), value1, value2] + flags((len, "LEN"), (idx, "IDX"))
        try:
            words += ["MINMATCHLEN", int(minmatchlen)]
        except TypeError:
            minmatchlen = None
        words += flags((withmatchlen, "WITHMATCHLEN"))
        return self.execute_command("STRALGO", *words, len=len, idx=idx, minmatchlen=minmatchlen,
                                    withmatchlen=withmatchlen, **kwargs)

    # -- bits ---------------------------------------------------------------------------------------------------------

    def bitcount(self, key, start=None, end=None, mode=None):
        """How many bits are set, in the whole or between two positions (mode "BYTE" or "BIT")."""
        if (start is None) != (end is None):
            raise DataError("Both start and end must be specified")
        words = [] if start is None else [start, end]
        return self.execute_command("BITCOUNT", key, *(words + ([] if mode is None else [mode])))

    def bitfield(self, key, default_overflow=None):
        """A BitFieldOperation: collects operations on integers of any width, for its execute()."""
        return BitFieldOperation(self, key, default_overflow)

    def bitfield_ro(self, key, encoding, offset, items=None):
        """Integers of any width: the one at `offset`, and those of `items`, pairs of encoding and offset."""
        words = [key, "GET", encoding, offset]
        for item_encoding, item_offset in items or ():
            words += ["GET", item_encoding, item_offset]
        return self.execute_command("BITFIELD_RO", *words)

    def bitop(self, operation, dest, *keys):
        """AND, OR, XOR or NOT of strings, stored; its length."""
        return self.execute_command("BITOP", operation, dest, *keys)

    def bitpos(self, key, bit, start=None, end=None, mode=None):
        """Where the first bit of this value is, or -1."""
        if bit not in (0, 1):
            raise DataError("bit must be 0 or 1")
        if start is None and end is not None:
            raise DataError("start argument is not set, when end is specified")
        words = [word for word in (start, end, mode) if word is not None]
        return self.execute_command("BITPOS", key, bit, *words)

    def getbit(self, name, offset):
        """A bit."""
        return self.execute_command("GETBIT", name, offset)

    def setbit(self, name, offset, value):
        """Set a bit; what it was."""
        return self.execute_command("SETBIT", name, offset, 1 if value else 0)

    # -- HyperLogLogs -------------------------------------------------------------------------------------------------

    def pfadd(self, name, *values):
        """Count values; 1 where the estimate changed."""
        return self.execute_command("PFADD", name, *values)

    def pfcount(self, *sources):
        """About how many different values were counted."""
        return self.execute_command("PFCOUNT", *sources)

    def pfmerge(self, dest, *sources):
        """Count together what others have counted."""
        return self.execute_command("PFMERGE", dest, *sources)


class BitFieldOperation(object):
    """Operations on integers of any width within a string; each method returns self, execute() the results."""

    def __init__(self, client, key, default_overflow=None):
        self.client = client
        self.key = key
        self._default_overflow = default_overflow
        self.operations = []
        self._last_overflow = "WRAP"
        self.reset()

    def reset(self):
        """Forget what was collected."""
        self.operations = []
        self._last_overflow = "WRAP"
        self.overflow(self._default_overflow or self._last_overflow)

    def overflow(self, overflow):
        """What happens to results that do not fit, of operations from here on: "WRAP", "SAT" or "FAIL"."""
        overflow = overflow.upper()
        if overflow != self._last_overflow:
            self._last_overflow = overflow
            self.operations.append(("OVERFLOW", overflow))
        return self

    def incrby(self, fmt, offset, increment, overflow=None):
        """Add to the integer of this format ("u8", "i5") at an offset ("#1": in units of its width)."""
        if overflow is not None:
            self.overflow(overflow)
        self.operations.append(("INCRBY", fmt, offset, increment))
        return self

    def get(self, fmt, offset):
        """The integer at an offset."""
        self.operations.append(("GET", fmt, offset))
        return self

    def set(self, fmt, offset, value):
        """Set the integer at an offset; the result is what it was."""
        self.operations.append(("SET", fmt, offset, value))
        return self

    @property
    def command(self):
        """The words of the command."""
        return ["BITFIELD", self.key] + [word for operation in self.operations for word in operation]

    def execute(self):
        """Run them; the list of results."""
        command = self.command
        self.reset()
        return self.client.execute_command(*command)


def _flat(mapping):
    return [word for pair in mapping.items() for word in pair]
