"""Commands of sets."""

from .arguments import listed


class SetCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def sadd(self, name, *values):
        """Add members; how many are new."""
        return self.execute_command("SADD", name, *values)

    def scard(self, name):
        """How many members there are."""
        return self.execute_command("SCARD", name)

    def sdiff(self, keys, *args):
        """What is in the first set and in none of the others."""
        return self.execute_command("SDIFF", *listed(keys, args))

    def sdiffstore(self, dest, keys, *args):
        """sdiff(), stored; how many members it has."""
        return self.execute_command("SDIFFSTORE", dest, *listed(keys, args))

    def sinter(self, keys, *args):
        """What is in all sets."""
        return self.execute_command("SINTER", *listed(keys, args))

    def sintercard(self, numkeys, keys, limit=0):
        """How much is in all sets, counted up to a limit."""
        return self.execute_command("SINTERCARD", numkeys, *(listed(keys) + ["LIMIT", limit]))

    def sinterstore(self, dest, keys, *args):
        """sinter(), stored; how many members it has."""
        return self.execute_command("SINTERSTORE", dest, *listed(keys, args))

    def sismember(self, name, value):
        """1 where it is a member."""
        return self.execute_command("SISMEMBER", name, value)

    def smembers(self, name):
        """All members, a set."""
        return self.execute_command("SMEMBERS", name)

    def smismember(self, name, values, *args):
        """For each value 1 where it is a member."""
        return self.execute_command("SMISMEMBER", name, *listed(values, args))

    def smove(self, src, dst, value):
        """Move a member to another set; whether it did."""
        return self.execute_command("SMOVE", src, dst, value)

    def spop(self, name, count=None):
        """Any member, or a list of several; they are removed."""
        return self.execute_command("SPOP", name, *([] if count is None else [count]))

    def srandmember(self, name, number=None):
        """Any member, or a list of several."""
        return self.execute_command("SRANDMEMBER", name, *([] if number is None else [number]))

    def srem(self, name, *values):
        """Remove members; how many there were."""
        return self.execute_command("SREM", name, *values)

    def sunion(self, keys, *args):
        """What is in any of the sets."""
        return self.execute_command("SUNION", *listed(keys, args))

    def sunionstore(self, dest, keys, *args):
        """sunion(), stored; how many members it has."""
        return self.execute_command("SUNIONSTORE", dest, *listed(keys, args))
