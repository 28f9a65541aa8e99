"""Commands of lists, those included that wait."""

from .arguments import listed


def _timeout(value):
    return 0 if value is None else value


class ListCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def blpop(self, keys, timeout=0):
        """(key, item) of the first of the lists that has one; waits up to `timeout` seconds, 0 for ever."""
        return self.execute_command("BLPOP", *(listed(keys) + [_timeout(timeout)]))

    def brpop(self, keys, timeout=0):
        """blpop() from the other end."""
        return self.execute_command("BRPOP", *(listed(keys) + [_timeout(timeout)]))

    def brpoplpush(self, src, dst, timeout=0):
        """Move the last item of a list to the front of another, and wait for it; the item."""
        return self.execute_command("BRPOPLPUSH", src, dst, _timeout(timeout))

    def blmpop(self, timeout, numkeys, *args, direction, count=1):
        """lmpop() that waits."""
        return self.execute_command("BLMPOP", timeout, numkeys, *args, direction, "COUNT", count)

    def lmpop(self, num_keys, *args, direction, count=1):
        """[key, items] of the first of the lists that has any, from its "LEFT" or "RIGHT"."""
        words = list(args) + [direction] + ([] if count == 1 else ["COUNT", count])
        return self.execute_command("LMPOP", num_keys, *words)

    def lindex(self, name, index):
        """The item at an index, or None."""
        return self.execute_command("LINDEX", name, index)

    def linsert(self, name, where, refvalue, value):
        """Insert "BEFORE" or "AFTER" an item; the new length, -1 without such an item."""
        return self.execute_command("LINSERT", name, where, refvalue, value)

    def llen(self, name):
        """How many items there are."""
        return self.execute_command("LLEN", name)

    def lmove(self, first_list, second_list, src="LEFT", dest="RIGHT"):
        """Move an item from one list to another; the item."""
        return self.execute_command("LMOVE", first_list, second_list, src, dest)

    def blmove(self, first_list, second_list, timeout, src="LEFT", dest="RIGHT"):
        """lmove() that waits."""
        return self.execute_command("BLMOVE", first_list, second_list, src, dest, timeout)

    def lpop(self, name, count=None):
        """The first item, or a list of the first `count`; they are removed."""
        return self.execute_command("LPOP", name, *([] if count is None else [count]))

    def rpop(self, name, count=None):
        """lpop() from the other end."""
        return self.execute_command("RPOP", name, *([] if count is None else [count]))

    def lpush(self, name, *values):
        """Put items in front; the new length."""
        return self.execute_command("LPUSH", name, *values)

    def lpushx(self, name, *values):
        """lpush() to a list that there is."""
        return self.execute_command("LPUSHX", name, *values)

    def lrange(self, name, start, end):
        """The items from one index to another, which is included."""
        return self.execute_command("LRANGE", name, start, end)

    def lrem(self, name, count, value):
        """Remove items that are equal to a value; how many."""
        return self.execute_command("LREM", name, count, value)

    def lset(self, name, index, value):
        """Replace the item at an index."""
        return self.execute_command("LSET", name, index, value)

    def ltrim(self, name, start, end):
        """Keep only the items from one index to another."""
        return self.execute_command("LTRIM", name, start, end)

    def rpoplpush(self, src, dst):
        """Move the last item of a list to the front of another; the item."""
        return self.execute_command("RPOPLPUSH", src, dst)

    def rpush(self, name, *values):
        """Put items behind; the new length."""
        return self.execute_command("RPUSH", name, *values)

    def rpushx(self, name, *values):
        """rpush() to a list that there is."""
        return self.execute_command("RPUSHX", name, *values)

    def lpos(self, name, value, rank=None, count=None, maxlen=None):
        """The index of an item, or with `count` a list of them."""
        words = [name, value]
        for word, number in (("RANK", rank), ("COUNT", count), ("MAXLEN", maxlen)):
            if number is not None:
                words += [word, number]
        return self.execute_command("LPOS", *words)
