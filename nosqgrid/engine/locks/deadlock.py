"""Who waits for whom: whether a request, if it waits, closes a circle in which everybody waits for ever.

A node is a thread of a process, or a session that says nothing of threads.  A request waits for everybody who holds one
of its locks in a way that it does not fit with, and for everybody who conflicts with it and stands before it.  It needs
all of them to go on, so each circle is a deadlock.  Of a semaphore with several units any of the holders may be the one
who gives back: it makes no edges.

Cost: nothing where the one who asks holds nothing and waits for nothing else.  Else each node is looked at once, and
the queue of a lock once where those who wait want it exclusively.
"""

from .table import SHARED


def circle(table, request):
    """The circle that a request closes, as [(node, name of the lock for which it waits)], the request's own node first;
    or None.  The request is not in a queue yet.
    """
    start = request.node
    if start is None or start not in table.by_node and start not in table.waiting:
        return None
    came_from = {}  # node -> (the node that waits for it, the name of the lock)
    looked_at = {}  # name of a lock -> number of the request up to which everybody in its queue is known
    ahead = [request]
    while ahead:
        waiter = ahead.pop()
        for name in waiter.names:
            lock = table.locks.get(name)
            if lock is None or lock.limit > 1:
                continue
            for node in _blockers(lock, waiter, looked_at):
                if node == start:
                    return _path(came_from, start, waiter.node, name)
                if node not in came_from:
                    came_from[node] = waiter.node, name
                    ahead.extend(table.waiting.get(node, ()))
    return None


def _blockers(lock, waiter, looked_at):
    """The nodes for which a request waits at one lock, but those that another one there has told of already."""
    number = waiter.number or float("inf")
    if looked_at.get(lock.name, 0) >= number:
        return
    shared = waiter.mode is SHARED
    if not shared:
        looked_at[lock.name] = number
    for grant in lock.holders.values():
        if grant.node is not None and not (shared and lock.mode is SHARED):
            yield grant.node
    for earlier in lock.queue:
        if earlier.number >= number:
            break
        if earlier.node is not None and not (shared and earlier.mode is SHARED):
            yield earlier.node


def _path(came_from, start, last, name):
    """The way from `start` to `last`, who waits at `name` for the start again."""
    steps = [(last, name)]
    while steps[-1][0] != start:
        steps.append(came_from[steps[-1][0]])
    return steps[::-1]
