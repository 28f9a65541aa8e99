"""Many jobs at once: purging a queue, and dropping it."""

from .. import databases
from ..structures.job_records import CANCELLED
from ..structures.jobs import Queue
from .ids import FLOOR, ROOM, id_of

PURGED_ONE_BY_ONE = 1000  # of more the queue is made anew without them


def purge(jobs, key, queue, states):
    """Remove the jobs in some states, which are none that anybody has; how many."""
    count = sum(queue.index.counts[state] for state in states)
    for number in list(queue.leads):
        if number in queue.jobs and queue.jobs[number][0][0] in states:
            jobs.end(key, queue, number, CANCELLED, {b"error": b"purged"}, keep=False)
    numbers = [number for number, job in queue.jobs.items() if job[0][0] in states]
    _wake_all(jobs, key, numbers)
    if len(numbers) <= PURGED_ONE_BY_ONE:
        if numbers:
            jobs.change(key, queue, [b"del"] + [b"%d" % number for number in numbers])
    else:
        jobs.keyspace.put(key, _kept(queue, set(numbers)))
        _wake_room(jobs, key)
    return count


def drop(jobs, key, queue):
    """Remove a queue with everything; who waits for its jobs is told, and what depended on them is dead."""
    for number in list(queue.leads):
        jobs.end(key, queue, number, CANCELLED, {}, keep=False)
    _wake_all(jobs, key, queue.jobs)
    floor = jobs.made(FLOOR)
    if floor.next_number < queue.next_number:
        jobs.change(FLOOR, floor, [b"next", b"%d" % queue.next_number])
    jobs.keyspace.delete(key)
    _wake_room(jobs, key)


def _wake_room(jobs, key):
    if key + ROOM in jobs.keyspace.waited:
        jobs.keyspace.ready.append(key + ROOM)


def _wake_all(jobs, key, numbers):
    """Jobs go: who waits for one of them looks again."""
    if jobs.followed:
        jobs.tell_followers(key, numbers)
    waited = jobs.keyspace.waited
    if waited:
        jobs.keyspace.ready += [found for found in (databases.in_space(databases.QUEUES, id_of(key, number))
                                                    for number in numbers) if found in waited]


def _kept(queue, gone):
    """A queue that has everything of another but some jobs."""
    made = Queue()
    for change in queue.changes():
        if change[0] == b"put":
            pieces = [b"put"]
            for at in range(1, len(change), 6):
                if int(change[at]) not in gone:
                    pieces += change[at:at + 6]
            change = pieces
        elif change[0] == b"link" and int(change[2]) in gone:
            continue
        if len(change) > 1:
            made.apply(change)
    return made
