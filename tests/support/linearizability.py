"""Decide whether a recorded history could have come from one copy of the data, each operation applied at one instant.

Two checkers, because the sure one is slow and the fast one trusts the versions that the grid hands out:

 - `find_violation` is the search of Wing and Gong with Lowe's memo: it tries to order the operations of each key so
   that every one takes effect between its call and its return and every result is what a register would have answered.
   It believes nothing but values and times.  One key costs milliseconds for 1,000 operations of 4 to 8 processes,
   seconds from 16 processes or from 20 unknown outcomes on: use many keys, few processes a key.
 - `find_version_violation` sorts and sweeps, O(n log n), millions of operations: every write brings its version, every
   read the version it saw, so that the order need not be searched for.

What both rely on
 1. Times come from one clock; the call time is taken before the request leaves, the return time after the reply came.
 2. Equal times mean concurrent: an operation is before another only if it returned strictly earlier than that began.
 3. An operation that never returned (its process was killed, its reply was lost) has return_time UNKNOWN; it may take
    effect at any moment after its call, or never.
 4. Keys are independent, so each key is checked alone (Herlihy and Wing's locality).

A search that grows beyond `states_max` raises CheckTooLarge: a check that did not finish is a failure, never a pass.

Sources: J. M. Wing, C. Gong, "Testing and verifying concurrent objects", 1993; G. Lowe, "Testing for linearizability",
2017; the linked list of events is the one of porcupine (github.com/anishathalye/porcupine, checker.go).
"""

from bisect import bisect_left, bisect_right
from collections import namedtuple

UNKNOWN = float("inf")  # the return time of an operation whose outcome nobody learned

# args[0] is the key.  `result` means nothing where return_time is UNKNOWN.
Operation = namedtuple("Operation", "process op args result call_time return_time")

READ = "read"
WRITE = "write"
DELETE = "delete"

# A read that found nothing has version 0; a write of unknown outcome has version None; deletions have version None.
VersionedOperation = namedtuple("VersionedOperation", "process kind key value version call_time return_time")

IMPOSSIBLE = object()  # a model step's answer: a register in this state cannot have given this result


class CheckTooLarge(AssertionError):
    """The search looked at more states than allowed; record fewer processes or unknown outcomes per key."""


class Violation(namedtuple("Violation", "key reason operations")):
    """Why a history is illegal: `operations` are those of the key that matter, `str()` shows them with their times."""

    __slots__ = ()

    def __str__(self):
        lines = ["key %r: %s" % (self.key, self.reason)]
        lines.extend("  %r" % (operation,) for operation in self.operations)
        return "\n".join(lines)


# -- the model: one register, absent is None --------------------------------------------------------------------------


def _step_get(state, args, result, known):
    return IMPOSSIBLE if known and result != state else state


def _step_set(state, args, result, known):
    return args[1]


def _step_delete(state, args, result, known):
    return IMPOSSIBLE if known and bool(result) != (state is not None) else None


def _step_incr(state, args, result, known):
    if state is not None and not isinstance(state, int):
        return IMPOSSIBLE if known else state
    total = (state or 0) + args[1]
    return IMPOSSIBLE if known and result != total else total


def _step_cas(state, args, result, known):
    matches = state == args[1]
    if known and bool(result) != matches:
        return IMPOSSIBLE
    return args[2] if matches else state


# get(key) -> value or None           set(key, value) -> anything          delete(key) -> true when there was one
# incr(key, by) -> the new integer    cas(key, expected, new) -> true when it was stored; None stands for absent
MODEL = {"get": _step_get, "set": _step_set, "delete": _step_delete, "incr": _step_incr, "cas": _step_cas}


# -- the search -------------------------------------------------------------------------------------------------------


def find_violation(operations, states_max=2000000):
    """Search each key's operations for an order that explains every result.

    Args: operations, an iterable of Operation with hashable values, in any order.
    Returns: None when there is an order for every key, else the Violation of the first key that has none.
    Raises: CheckTooLarge when one key needs more than states_max states.
    """
    for key, of_key in sorted(_by_key(operations).items(), key=lambda item: repr(item[0])):
        violation = _Search(key, _without_idle(of_key)).run(states_max)
        if violation is not None:
            return violation
    return None


def assert_linearizable(operations, states_max=2000000):
    """Raise AssertionError with the operations that no order explains; CheckTooLarge is one as well."""
    violation = find_violation(operations, states_max)
    if violation is not None:
        raise AssertionError("not linearizable: " + str(violation))


def _by_key(operations):
    found = {}
    for operation in operations:
        found.setdefault(operation.args[0], []).append(operation)
    return found


def _without_idle(operations):
    """Leave out unknown outcomes that can change no verdict; each one kept may double the search.

    A read of unknown outcome has no effect.  Where a key knows only get and set, a set of unknown outcome whose value
    nobody read can be taken out of any legal order and leaves it legal.
    """
    plain = all(operation.op in ("get", "set") for operation in operations)
    seen = {operation.result for operation in operations if operation.op == "get" and operation.return_time != UNKNOWN}
    kept = []
    for operation in operations:
        if operation.return_time == UNKNOWN:
            if operation.op == "get" or plain and operation.args[1] not in seen:
                continue
        kept.append(operation)
    return kept


class _Search:
    """One key's events in a doubly linked list; an operation that has been given its place is lifted out of it.

    Nodes are numbered from 1 in order of time, 0 is the head.  Only calls before the first return that is still in the
    list may come next: passing that return would break real time, so there the search takes its last choice back.
    """

    def __init__(self, key, operations):
        self.key = key
        self.operations = operations
        # At equal times calls come first, which makes the two concurrent.
        events = [(operation.call_time, 0, index) for index, operation in enumerate(operations)]
        events += [(operation.return_time, 1, index) for index, operation in enumerate(operations)
                   if operation.return_time != UNKNOWN]
        events.sort()
        count = len(events)
        self.owner = [-1] + [index for _, _, index in events]
        self.is_return = [False] + [bool(kind) for _, kind, _ in events]
        self.next = list(range(1, count + 1)) + [0]
        self.previous = [count] + list(range(count))
        self.returns = [0] * len(operations)  # the node of each operation's return, 0 where it never returned
        for node in range(1, count + 1):
            if self.is_return[node]:
                self.returns[self.owner[node]] = node

    def run(self, states_max):
        operations, owner, is_return, following = self.operations, self.owner, self.is_return, self.next
        state, done, seen, chosen, longest = None, 0, set(), [], []
        unexplained = sum(1 for node in self.returns if node)
        node = following[0]
        while unexplained:
            if is_return[node]:
                if not chosen:
                    return self._violation(longest)
                node, state = chosen.pop()
                index = owner[node]
                done ^= 1 << index
                unexplained += self._put_back(node)
            else:
                index = owner[node]
                operation = operations[index]
                after = MODEL[operation.op](state, operation.args, operation.result, operation.return_time != UNKNOWN)
                place = (done | 1 << index, after)
                if after is not IMPOSSIBLE and place not in seen:
                    if len(seen) >= states_max:
                        raise CheckTooLarge("key %r: %d operations need more than %d states"
                                            % (self.key, len(operations), states_max))
                    seen.add(place)
                    chosen.append((node, state))
                    if len(chosen) > len(longest):
                        longest = [owner[call] for call, _ in chosen]
                    done, state = place
                    unexplained -= self._lift(node)
                    node = following[0]
                    continue
            node = following[node]
        return None

    def _lift(self, call):
        """Take an operation's call and return out; tells how many returns that were."""
        self._unlink(call)
        back = self.returns[self.owner[call]]
        if back:
            self._unlink(back)
        return 1 if back else 0

    def _put_back(self, call):
        """Undo the latest _lift; nodes keep their own links, so the reverse order restores the list."""
        back = self.returns[self.owner[call]]
        if back:
            self._relink(back)
        self._relink(call)
        return 1 if back else 0

    def _unlink(self, node):
        before, after = self.previous[node], self.next[node]
        self.next[before] = after
        self.previous[after] = before

    def _relink(self, node):
        self.next[self.previous[node]] = node
        self.previous[self.next[node]] = node

    def _violation(self, longest):
        """The longest order found explains these operations; what it leaves is shown after them."""
        placed = [self.operations[index] for index in longest]
        rest = sorted((operation for index, operation in enumerate(self.operations) if index not in set(longest)),
                      key=lambda operation: operation.call_time)
        reason = ("no order explains the results; the longest one found holds the first %d of these, and none of the"
                  " next fits behind it" % len(placed))
        return Violation(self.key, reason, placed[-12:] + rest[:12])


# -- the sweep over versions ------------------------------------------------------------------------------------------


def find_version_violation(operations):
    """Check a long history by the versions in it; what it accuses is wrong, what it passes may still be.

    For each key:
     1. no two writes have one version, and every value read equals the value written at the version read;
     2. a version is not read before its write began;
     3. what returned before another operation began has a version that is not larger, and smaller if the other wrote;
     4. successive reads of one process do not go back;
     5. nothing is found only where no write was finished, or a delete may have come after the finished ones;
     6. what a finished delete took away is not found again.

    Writes of unknown outcome (version None, return_time UNKNOWN) may stand for a version that readers saw and nobody
    else wrote.  Writes that were refused and reads that failed are to be left out by the caller.

    Args: operations, an iterable of VersionedOperation.
    Returns: None or a Violation.  Cost: O(n log n).
    """
    keys = {}
    for operation in operations:
        keys.setdefault(operation.key, []).append(operation)
    for key, of_key in sorted(keys.items(), key=lambda item: repr(item[0])):
        for check in (_check_values, _check_real_time, _check_each_process, _check_absences, _check_deletes):
            violation = check(key, of_key)
            if violation is not None:
                return violation
    return None


def assert_versions(operations):
    """Raise AssertionError with the operations that contradict each other by version, value or time."""
    violation = find_version_violation(operations)
    if violation is not None:
        raise AssertionError("not linearizable: " + str(violation))


def _check_values(key, operations):
    """Rules 1 and 2."""
    writes = {}
    for operation in operations:
        if operation.kind == WRITE and operation.version is not None:
            if operation.version in writes:
                return Violation(key, "two writes have one version", [writes[operation.version], operation])
            writes[operation.version] = operation
    orphans = {}  # version nobody is known to have written -> the read of it that returned first
    for operation in operations:
        if operation.kind != READ or not operation.version:
            continue
        origin = writes.get(operation.version) or orphans.setdefault(operation.version, operation)
        if origin.value != operation.value:
            return Violation(key, "a read's value is not the one of its version", [origin, operation])
        if origin.kind == WRITE and origin.call_time > operation.return_time:
            return Violation(key, "a version was read before its write began", [origin, operation])
        if origin.kind == READ and operation.return_time < origin.return_time:
            orphans[operation.version] = operation
    return _check_orphans(key, operations, orphans)


def _check_orphans(key, operations, orphans):
    """Give each version of unknown origin a write of unknown outcome with its value that had begun by then."""
    unknown = {}
    for operation in operations:
        if operation.kind == WRITE and operation.version is None:
            unknown.setdefault(operation.value, []).append(operation.call_time)
    for times in unknown.values():
        times.sort()
    used = {}
    # In order of the deadlines the earliest calls suffice, so that only their number counts.
    for operation in sorted(orphans.values(), key=lambda read: read.return_time):
        used[operation.value] = used.get(operation.value, 0) + 1
        if bisect_right(unknown.get(operation.value, ()), operation.return_time) < used[operation.value]:
            return Violation(key, "nobody can have written what was read", [operation])
    return None


def _check_real_time(key, operations):
    """Rule 3: sweep by call time, with the largest version among all that had returned before."""
    versioned = [operation for operation in operations if operation.version]
    by_return = sorted(versioned, key=lambda operation: operation.return_time)
    position, newest = 0, None
    for operation in sorted(versioned, key=lambda operation: operation.call_time):
        while by_return[position].return_time < operation.call_time:
            if newest is None or by_return[position].version > newest.version:
                newest = by_return[position]
            position += 1
        if newest is None:
            continue
        if newest.version > operation.version:
            return Violation(key, "an older version came after a newer one had been returned", [newest, operation])
        if newest.version == operation.version and operation.kind == WRITE:
            return Violation(key, "a version was returned before its write began", [newest, operation])
    return None


def _check_each_process(key, operations):
    """Rule 4, by the order of calls in a process: it holds even where clocks are too coarse for rule 3."""
    latest = {}
    for operation in sorted(operations, key=lambda operation: operation.call_time):
        if operation.kind != READ or not operation.version:
            continue
        before = latest.get(operation.process)
        if before is not None and before.version > operation.version:
            return Violation(key, "a process went back to an older version", [before, operation])
        latest[operation.process] = operation
    return None


def _check_absences(key, operations):
    """Rule 5, by running maxima: the latest begun of the writes finished before, against the latest end of a delete."""
    writes = sorted((operation for operation in operations if operation.kind == WRITE
                     and operation.version is not None), key=lambda operation: operation.return_time)
    deletes = sorted((operation for operation in operations if operation.kind == DELETE),
                     key=lambda operation: operation.call_time)
    write_returns = [operation.return_time for operation in writes]
    latest_begun = _running_max(writes, lambda operation: operation.call_time)
    delete_calls = [operation.call_time for operation in deletes]
    latest_end = _running_max(deletes, lambda operation: operation.return_time)
    for operation in operations:
        if operation.kind != READ or operation.version:
            continue
        finished = bisect_left(write_returns, operation.call_time)
        if not finished:
            continue
        write = latest_begun[finished - 1]
        begun = bisect_right(delete_calls, operation.return_time)
        if not begun or latest_end[begun - 1].return_time < write.call_time:
            return Violation(key, "nothing was found after a write had finished and no delete can have followed",
                             [write, operation])
    return None


def _check_deletes(key, operations):
    """Rule 6: a delete that began after a version was there, and returned before the read began, took it away."""
    there = {}  # version -> the operation that returned it first
    for operation in operations:
        if operation.version:
            first = there.setdefault(operation.version, operation)
            if operation.return_time < first.return_time:
                there[operation.version] = operation
    deletes = sorted((operation for operation in operations if operation.kind == DELETE),
                     key=lambda operation: operation.return_time)
    delete_returns = [operation.return_time for operation in deletes]
    latest_begun = _running_max(deletes, lambda operation: operation.call_time)
    for operation in operations:
        finished = bisect_left(delete_returns, operation.call_time)
        if operation.kind != READ or not operation.version or not finished:
            continue
        delete = latest_begun[finished - 1]
        if delete.call_time > there[operation.version].return_time:
            return Violation(key, "a deleted version was found", [there[operation.version], delete, operation])
    return None


def _running_max(operations, measure):
    """For each position the operation with the largest measure up to there."""
    found = []
    for operation in operations:
        if not found or measure(operation) > measure(found[-1]):
            found.append(operation)
        else:
            found.append(found[-1])
    return found
