"""Names of queues and ids of jobs: queue:number, with the prefix of the queue's database if that is not the first."""

from ...errors import UnknownJobError
from .. import databases

FLOOR = databases.in_space(databases.QUEUES, b"")  # a queue without jobs, whose numbers are above all that were dropped
_ROOM, _END = b"\xff\x00room", b"\xff\x00end"


def key_of(name):
    """The key of a queue; `name` as the words of a command have it."""
    return databases.in_space(databases.QUEUES, name)


def id_of(key, number):
    """The id of a job, with the prefix of the queue's database."""
    return b"%b:%d" % (databases.name_of(key), number)


def room_key(key):
    """What those wait for who wait for room in a queue, or for its being empty; no key of a queue."""
    return _ROOM + key


def end_key(own):
    """What those wait for who wait for the end of the job with this id; no key of a queue."""
    return _END + own


def parse_id(word):
    """(key of the queue, number) of an id; UnknownJobError where it is none."""
    name, _, digits = word.rpartition(b":")
    if not name or not digits.isdigit() or len(digits) > 16 or digits[:1] == b"0":
        raise UnknownJobError("%s is no id of a job: one is the name of its queue, a colon and a number"
                              % shown_text(word))
    return key_of(name), int(digits)


def shown_text(word):
    """An id or a name for a message."""
    return databases.name_of(word)[:100].decode("utf-8", "replace")
