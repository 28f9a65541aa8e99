"""Commands of sorted sets."""

from ..exceptions import DataError
from .arguments import flags, limited, listed

_AGGREGATES = ("SUM", "MIN", "MAX")


class SortedSetCommands(object):
    """Methods named after commands; each returns what execute_command returns.

    Scores come through `score_cast_func` where a method has one, else as float.
    """

    def zadd(self, name, mapping, nx=False, xx=False, ch=False, incr=False, gt=False, lt=False):
        """Add members, a dict of member to score; how many are new (with `ch`: new or changed).

        With `incr` the one score is added to, and returned; None where a condition forbade it.
        """
        if not mapping:
            raise DataError("ZADD requires at least one element/score pair")
        if nx and xx:
            raise DataError("ZADD allows either 'nx' or 'xx', not both")
        if gt and lt:
            raise DataError("ZADD allows either 'gt' or 'lt', not both")
        if incr and len(mapping) != 1:
            raise DataError("ZADD option 'incr' only works when passing a single element/score pair")
        if nx and (gt or lt):
            raise DataError("Only one of 'nx', 'lt', or 'gr' may be defined.")
        words = flags((nx, "NX"), (xx, "XX"), (ch, "CH"), (incr, "INCR"), (gt, "GT"), (lt, "LT"))
        for member, score in mapping.items():
            words += [score, member]
        return self.execute_command("ZADD", name, *words, **({"as_score": True} if incr else {}))

    def zcard(self, name):
        """How many members there are."""
        return self.execute_command("ZCARD", name)

    def zcount(self, name, min, max):
        """How many members have a score between two."""
        return self.execute_command("ZCOUNT", name, min, max)

    def zdiff(self, keys, withscores=False):
        """What is in the first and in none of the others."""
        return self.execute_command("ZDIFF", len(keys), *(list(keys) + flags((withscores, "WITHSCORES"))))

    def zdiffstore(self, dest, keys):
        """zdiff(), stored; how many members it has."""
        return self.execute_command("ZDIFFSTORE", dest, len(keys), *keys)

    def zincrby(self, name, amount, value):
        """Add to a score; the new one."""
        return self.execute_command("ZINCRBY", name, amount, value)

    def zinter(self, keys, aggregate=None, withscores=False):
        """What is in all of them; `keys` may be a dict of key to weight."""
        return self._combined(["ZINTER"], keys, aggregate, withscores=withscores)

    def zinterstore(self, dest, keys, aggregate=None):
        """zinter(), stored; how many members it has."""
        return self._combined(["ZINTERSTORE", dest], keys, aggregate)

    def zunion(self, keys, aggregate=None, withscores=False):
        """What is in any of them; `keys` may be a dict of key to weight."""
        return self._combined(["ZUNION"], keys, aggregate, withscores=withscores)

    def zunionstore(self, dest, keys, aggregate=None):
        """zunion(), stored; how many members it has."""
        return self._combined(["ZUNIONSTORE", dest], keys, aggregate)

    def _combined(self, words, keys, aggregate, **options):
        words = words + [len(keys)] + list(keys)
        if isinstance(keys, dict) and keys:
            words += ["WEIGHTS"] + list(keys.values())
        if aggregate:
            if aggregate.upper() not in _AGGREGATES:
                raise DataError("aggregate can be sum, min or max.")
            words += ["AGGREGATE", aggregate]
        return self.execute_command(*(words + flags((options.get("withscores"), "WITHSCORES"))), **options)

    def zintercard(self, numkeys, keys, limit=0):
        """How much is in all of them, counted up to a limit."""
        return self.execute_command("ZINTERCARD", numkeys, *(list(keys) + ["LIMIT", limit]))

    def zlexcount(self, name, min, max):
        """How many members lie between two, by their bytes."""
        return self.execute_command("ZLEXCOUNT", name, min, max)

    def zpopmax(self, name, count=None):
        """The member with the highest score, or several; a list of pairs; they are removed."""
        return self.execute_command("ZPOPMAX", name, *([] if count is None else [count]), withscores=True)

    def zpopmin(self, name, count=None):
        """zpopmax() from the other end."""
        return self.execute_command("ZPOPMIN", name, *([] if count is None else [count]), withscores=True)

    def zrandmember(self, key, count=None, withscores=False):
        """Any member, or a list of several."""
        words = ([] if count is None else [count]) + flags((withscores, "WITHSCORES"))
        return self.execute_command("ZRANDMEMBER", key, *words)

    def bzpopmax(self, keys, timeout=0):
        """(key, member, score) of the first that has a member; waits up to `timeout` seconds, 0 for ever."""
        return self.execute_command("BZPOPMAX", *(listed(keys) + [0 if timeout is None else timeout]))

    def bzpopmin(self, keys, timeout=0):
        """bzpopmax() from the other end."""
        return self.execute_command("BZPOPMIN", *(listed(keys) + [0 if timeout is None else timeout]))

    def zmpop(self, num_keys, keys, min=False, max=False, count=1):
        """[key, members with scores] of the first that has any."""
        words = list(keys) + [_end(min, max)] + ([] if count == 1 else ["COUNT", count])
        return self.execute_command("ZMPOP", num_keys, *words)

    def bzmpop(self, timeout, numkeys, keys, min=False, max=False, count=1):
        """zmpop() that waits."""
        return self.execute_command("BZMPOP", timeout, numkeys, *(list(keys) + [_end(min, max), "COUNT", count]))

    def _range(self, words, desc, byscore, bylex, withscores, score_cast_func, offset, num):
        if byscore and bylex:
            raise DataError("``byscore`` and ``bylex`` can not be specified together.")
        if (offset is None) != (num is None):
            raise DataError("``offset`` and ``num`` must both be specified.")
        if bylex and withscores:
            raise DataError("``withscores`` not supported in combination with ``bylex``.")
        words = words + flags((byscore, "BYSCORE"), (bylex, "BYLEX"), (desc, "REV")) + limited(offset, num)
        return self._scored(words, withscores, score_cast_func)

    def _scored(self, words, withscores, score_cast_func):
        return self.execute_command(*(words + flags((withscores, "WITHSCORES"))), withscores=withscores,
                                    score_cast_func=score_cast_func)

    def zrange(self, name, start, end, desc=False, withscores=False, score_cast_func=float, byscore=False, bylex=False,
               offset=None, num=None):
        """Members in order, by index, score or bytes; pairs with their scores if wanted."""
        if desc and not byscore and not bylex and offset is None and num is None:
            return self.zrevrange(name, start, end, withscores, score_cast_func)
        return self._range(["ZRANGE", name, start, end], desc, byscore, bylex, withscores, score_cast_func, offset,
                           num)

    def zrevrange(self, name, start, end, withscores=False, score_cast_func=float):
        """Members by index, highest score first."""
        return self._scored(["ZREVRANGE", name, start, end], withscores, score_cast_func)

    def zrangestore(self, dest, name, start, end, byscore=False, bylex=False, desc=False, offset=None, num=None):
        """zrange(), stored; how many members it has."""
        return self._range(["ZRANGESTORE", dest, name, start, end], desc, byscore, bylex, False, None, offset, num)

    def zrangebylex(self, name, min, max, start=None, num=None):
        """Members between two, by their bytes."""
        return self.execute_command("ZRANGEBYLEX", name, min, max, *limited(start, num))

    def zrevrangebylex(self, name, max, min, start=None, num=None):
        """zrangebylex() backwards."""
        return self.execute_command("ZREVRANGEBYLEX", name, max, min, *limited(start, num))

    def zrangebyscore(self, name, min, max, start=None, num=None, withscores=False, score_cast_func=float):
        """Members with a score between two."""
        return self._scored(["ZRANGEBYSCORE", name, min, max] + limited(start, num), withscores, score_cast_func)

    def zrevrangebyscore(self, name, max, min, start=None, num=None, withscores=False, score_cast_func=float):
        """zrangebyscore() backwards."""
        return self._scored(["ZREVRANGEBYSCORE", name, max, min] + limited(start, num), withscores, score_cast_func)

    def zrank(self, name, value, withscore=False):
        """The index of a member, or None; a server of 7.2 gives its score as well."""
        return self.execute_command("ZRANK", name, value, *flags((withscore, "WITHSCORE")))

    def zrevrank(self, name, value, withscore=False):
        """zrank() from the other end."""
        return self.execute_command("ZREVRANK", name, value, *flags((withscore, "WITHSCORE")))

    def zrem(self, name, *values):
        """Remove members; how many there were."""
        return self.execute_command("ZREM", name, *values)

    def zremrangebylex(self, name, min, max):
        """Remove members between two, by their bytes; how many."""
        return self.execute_command("ZREMRANGEBYLEX", name, min, max)

    def zremrangebyrank(self, name, min, max):
        """Remove members from one index to another; how many."""
        return self.execute_command("ZREMRANGEBYRANK", name, min, max)

    def zremrangebyscore(self, name, min, max):
        """Remove members with a score between two; how many."""
        return self.execute_command("ZREMRANGEBYSCORE", name, min, max)

    def zscore(self, name, value):
        """The score of a member, or None."""
        return self.execute_command("ZSCORE", name, value)

    def zmscore(self, key, members):
        """The scores of several members, None where there is none."""
        if not members:
            raise DataError("ZMSCORE members must be a non-empty list")
        return self.execute_command("ZMSCORE", key, *members)


def _end(lowest, highest):
    if bool(lowest) == bool(highest):
        raise DataError("Either min or max, but not both must be set")
    return "MIN" if lowest else "MAX"
