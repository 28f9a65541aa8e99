"""Commands of hashes."""

import warnings

from ..exceptions import DataError
from . import arguments
from .arguments import flags, listed


class HashCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def hdel(self, name, *keys):
        """Delete fields; how many there were."""
        return self.execute_command("HDEL", name, *keys)

    def hexists(self, name, key):
        """Whether there is such a field."""
        return self.execute_command("HEXISTS", name, key)

    def hget(self, name, key):
        """The value of a field, or None."""
        return self.execute_command("HGET", name, key)

    def hgetall(self, name):
        """All fields, a dict."""
        return self.execute_command("HGETALL", name)

    def hincrby(self, name, key, amount=1):
        """Add to a number; the new one."""
        return self.execute_command("HINCRBY", name, key, amount)

    def hincrbyfloat(self, name, key, amount=1.0):
        """Add to a number; the new one, a float."""
        return self.execute_command("HINCRBYFLOAT", name, key, amount)

    def hkeys(self, name):
        """The names of the fields."""
        return self.execute_command("HKEYS", name)

    def hlen(self, name):
        """How many fields there are."""
        return self.execute_command("HLEN", name)

    def hset(self, name, key=None, value=None, mapping=None, items=None):
        """Store fields: one, those of a dict, those of a flat list; how many are new."""
        if key is None and not mapping and not items:
            raise DataError("'hset' with no key value pairs")
        words = list(items or ())
        if key is not None:
            words += [key, value]
        for pair in (mapping or {}).items():
            words += pair
        return self.execute_command("HSET", name, *words)

    def hsetnx(self, name, key, value):
        """Store a field if it is not there; 1 if it did."""
        return self.execute_command("HSETNX", name, key, value)

    def hmset(self, name, mapping):
        """Store the fields of a dict: hset() by its old name."""
        warnings.warn("%s.hmset() is deprecated. Use %s.hset() instead." % ((type(self).__name__,) * 2),
                      DeprecationWarning, stacklevel=2)
        if not mapping:
            raise DataError("'hmset' with 'mapping' of length 0")
        return self.execute_command("HMSET", name, *[word for pair in mapping.items() for word in pair])

    def hmget(self, name, keys, *args):
        """The values of several fields, None where there is none."""
        return self.execute_command("HMGET", name, *listed(keys, args))

    def hvals(self, name):
        """The values of all fields."""
        return self.execute_command("HVALS", name)

    def hstrlen(self, name, key):
        """The length of a value."""
        return self.execute_command("HSTRLEN", name, key)

    def hrandfield(self, key, count=None, withvalues=False):
        """Any field, or several, with their values if wanted."""
        words = ([] if count is None else [count]) + flags((withvalues, "WITHVALUES"))
        return self.execute_command("HRANDFIELD", key, *words)

    # -- deadlines of fields, of servers 7.4 --------------------------------------------------------------------------

    def hexpire(self, name, seconds, *fields, nx=False, xx=False, gt=False, lt=False):
        """Let fields go after so many seconds."""
        return self._field_deadline("HEXPIRE", name, arguments.seconds(seconds), fields, nx, xx, gt, lt)

    def hpexpire(self, name, milliseconds, *fields, nx=False, xx=False, gt=False, lt=False):
        """Let fields go after so many milliseconds."""
        return self._field_deadline("HPEXPIRE", name, arguments.milliseconds(milliseconds), fields, nx, xx, gt, lt)

    def hexpireat(self, name, unix_time_seconds, *fields, nx=False, xx=False, gt=False, lt=False):
        """Let fields go at a moment."""
        return self._field_deadline("HEXPIREAT", name, arguments.unix_seconds(unix_time_seconds), fields, nx, xx, gt,
                                    lt)

    def hpexpireat(self, name, unix_time_milliseconds, *fields, nx=False, xx=False, gt=False, lt=False):
        """Let fields go at a moment."""
        return self._field_deadline("HPEXPIREAT", name, arguments.unix_milliseconds(unix_time_milliseconds), fields,
                                    nx, xx, gt, lt)

    def _field_deadline(self, command, name, moment, fields, nx, xx, gt, lt):
        conditions = flags((nx, "NX"), (xx, "XX"), (gt, "GT"), (lt, "LT"))
        if len(conditions) > 1:
            raise DataError("Only one of 'nx', 'xx', 'gt', 'lt' can be specified.")
        return self.execute_command(command, name, moment, *(conditions + ["FIELDS", len(fields)]), *fields)

    def hpersist(self, name, *fields):
        """Take away the deadlines of fields."""
        return self.execute_command("HPERSIST", name, "FIELDS", len(fields), *fields)

    def hexpiretime(self, key, *fields):
        """When fields go, in seconds since 1970."""
        return self.execute_command("HEXPIRETIME", key, "FIELDS", len(fields), *fields)

    def hpexpiretime(self, key, *fields):
        """When fields go, in milliseconds since 1970."""
        return self.execute_command("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)

    def httl(self, key, *fields):
        """Seconds until fields go."""
        return self.execute_command("HTTL", key, "FIELDS", len(fields), *fields)

    def hpttl(self, key, *fields):
        """Milliseconds until fields go."""
        return self.execute_command("HPTTL", key, "FIELDS", len(fields), *fields)
