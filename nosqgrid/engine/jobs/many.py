"""Many jobs at once: purging a queue, and dropping it."""

from ..structures.job_records import CANCELLED
from ..structures.jobs import Queue
from .ids import FLOOR, end_key, id_of, room_key

PURGED_ONE_BY_ONE = 1000  # of more the queue is made anew without them


def purge(jobs, key, queue, states):
    """Remove the jobs in some states, which are none that anybody has; how many."""
    count = sum(queue.index.counts[state] for state in states)
    for number in list(queue.leads):
        if number in queue.jobs and queue.jobs[number][0][0] in states:
            jobs.end(key, queue, number, CANCELLED, {b"error": b"purged"}, keep=False)
    numbers = {number for number, job in queue.jobs.items() if job[0][0] in states}
    _wake_all(jobs, key, numbers)
    if len(numbers) <= PURGED_ONE_BY_ONE:
        if numbers:
            jobs.change(key, queue, [b"del"] + [b"%d" % number for number in sorted(numbers)])
    else:
        jobs.keyspace.put(key, _kept(queue, numbers))
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
    if room_key(key) in jobs.keyspace.waited:
        jobs.keyspace.ready.append(room_key(key))


def _wake_all(jobs, key, numbers):
    """Jobs with these numbers (a set or a dict) go: who waits for the end of one of them looks again."""
    if jobs.followed:
        jobs.tell_followers(key, numbers)
    beginning = end_key(id_of(key, 0)[:-1])
    for found in jobs.keyspace.waited:
        number = found[len(beginning):]
        if found.startswith(beginning) and number.isdigit() and len(number) < 17 and int(number) in numbers:
            jobs.keyspace.ready.append(found)


def _kept(queue, gone):
    """A queue that has everything of another but some jobs."""
    made, words = Queue(), [b"put"]
    for change in queue.changes_but_jobs():
        made.apply(change)
    for number, job in queue.jobs.items():
        if number not in gone:
            words.append(b"%d" % number)
            words += job
    if len(words) > 1:
        made.apply(words)
    for change in queue.links():
        if int(change[2]) not in gone:
            made.apply(change)
    return made
