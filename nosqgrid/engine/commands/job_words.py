"""What the words of job commands say: options in any order, ids and receipts; and which of them are keys."""

from ... import errors, limits
from ..jobs.asked import OVERFLOWS, Asked
from ..jobs.ids import key_of
from ..structures.job_records import FIFO, PRIORITY_MAX, STATES, TIME_MAX, UNTIL_FINISHED, UNTIL_STARTED
from .command import bounded, integer, syntax_error

NAME_BYTES_MAX = 512
TEXT_BYTES_MAX = 4096
AFTER_MAX = 1000
QUEUES_MAX = 1000
COUNT_MAX = 10000
RETRIES_MAX = 1000000
WEIGHT_MAX = 1000000
_THOUSANDTHS_MAX = 1000000
_MS_MAX = limits.TTL_MS_MAX
_REMEMBERED_MAX = 256

_remembered = {}  # option words -> what they ask for, as long as that is the same for every job


def queue_key(word):
    """The key of the queue with this name."""
    if not word or len(word) > NAME_BYTES_MAX:
        raise errors.CommandError("the name of a queue has 1 to %d bytes, not %d" % (NAME_BYTES_MAX, len(word)))
    return key_of(word)


def receipt_of(word):
    """The receipt that a word stands for."""
    return bounded(word, (1 << 32) - 1, "a receipt")


def milliseconds(word, what):
    """A time to come, in ms."""
    return bounded(word, _MS_MAX, what)


def wait_s(word):
    """(whether to wait, seconds: 0.0 for ever) of a word: -1 for ever, 0 not at all, else ms."""
    if word == b"-1":
        return True, 0.0
    ms = bounded(word, _MS_MAX, "WAIT")
    return ms > 0, ms / 1000.0


def text(word, what):
    """A short text."""
    if len(word) > TEXT_BYTES_MAX:
        raise errors.CommandError("%s has %d bytes; up to %d are kept" % (what, len(word), TEXT_BYTES_MAX))
    return word


def priority_of(word):
    """A priority; lower ones come first."""
    number = integer(word)
    if not -PRIORITY_MAX <= number <= PRIORITY_MAX:
        raise errors.CommandError("a priority is from %d to %d, not %d" % (-PRIORITY_MAX, PRIORITY_MAX, number))
    return number


def state_of(word):
    """The number of a state by its name."""
    name = word.lower()
    if name not in STATES:
        raise errors.CommandError("%.50r is no state of a job: %s" % (word, b", ".join(STATES).decode()))
    return STATES.index(name)


def overflow_of(word):
    """What is to happen to a job for which there is no room."""
    name = word.lower()
    if name not in OVERFLOWS:
        raise errors.CommandError("%.50r is not what can happen in a full queue: %s"
                                  % (word, b", ".join(OVERFLOWS).decode()))
    return name


# -- options of a put -------------------------------------------------------------------------------------------------


def asked_of(words):
    """The Asked that the options of JOB.PUT stand for.  Raises CommandError."""
    words = tuple(words)
    asked = _remembered.get(words)
    if asked is None:
        asked = _read(words)
        if asked.constant:
            if len(_remembered) >= _REMEMBERED_MAX:
                _remembered.clear()
            _remembered[words] = asked
    return asked


def _read(words):
    asked, at = Asked(), 0
    while at < len(words):
        option = words[at].upper()
        count, read = _OPTIONS.get(option, (0, None))
        if read is None or at + count >= len(words):
            raise syntax_error()
        following = words[at + 1:at + 1 + count]
        at += 1 + count
        if option == b"AFTER":
            ids = bounded(following[0], AFTER_MAX, "the number of jobs to wait for")
            if at + ids > len(words):
                raise syntax_error()
            asked.after = list(words[at:at + ids])
            at += ids
        read(asked, *following)
    if asked.until != UNTIL_FINISHED and not asked.unique:
        raise errors.CommandError("UNTIL says for how long a job is UNIQUE, and there is no such key")
    if asked.replace and not asked.unique:
        raise errors.CommandError("REPLACE replaces the job with the same UNIQUE key, and there is no such key")
    if asked.flags & FIFO and not asked.group:
        raise errors.CommandError("FIFO is the order within a GROUP, and there is no such name")
    return asked


def _backoff(asked, first, longest, factor, jitter):
    asked.backoff = (milliseconds(first, "the first delay"), milliseconds(longest, "the longest delay"),
                     bounded(factor, _THOUSANDTHS_MAX, "the factor"), bounded(jitter, 1000, "the jitter"))


def _until(asked, word):
    name = word.lower()
    if name == b"started":
        asked.until = UNTIL_STARTED
    elif name == b"finished":
        asked.until = UNTIL_FINISHED
    else:
        asked.until = milliseconds(word, "UNTIL")
        if not asked.until:
            raise errors.CommandError("UNTIL is started, finished, or at least one millisecond")


def _named(name, what):
    def read(asked, word):
        if not word or len(word) > NAME_BYTES_MAX:
            raise errors.CommandError("%s has 1 to %d bytes, not %d" % (what, NAME_BYTES_MAX, len(word)))
        setattr(asked, name, word)
        asked.constant = asked.constant and name == "kind"
    return read


def _number(name, largest, what):
    def read(asked, word):
        setattr(asked, name, bounded(word, largest, what))
    return read


def ttr_ms(word):
    """A time to run, in ms: with none at all a job would be taken from whoever is given it."""
    ms = milliseconds(word, "TTR")
    if not ms:
        raise errors.CommandError("TTR must be from 1 to %d, not 0" % _MS_MAX)
    return ms


def _ttr(asked, word):
    asked.ttr_ms = ttr_ms(word)


def _flag(name, value):
    def read(asked):
        setattr(asked, name, value)
    return read


def _after(asked, count):
    asked.constant = False


def _eta(asked, word):
    asked.eta_ms = bounded(word, TIME_MAX, "ETA")
    asked.constant = False


def _priority(asked, word):
    asked.priority = priority_of(word)


def _overflow(asked, word):
    asked.overflow = overflow_of(word)


def _wait(asked, word):
    asked.wait_ms = -1 if word == b"-1" else milliseconds(word, "WAIT")


_OPTIONS = {
    b"DELAY": (1, _number("delay_ms", _MS_MAX, "DELAY")), b"ETA": (1, _eta), b"PRIORITY": (1, _priority),
    b"TTR": (1, _ttr), b"RETRIES": (1, _number("retries", RETRIES_MAX, "RETRIES")),
    b"BACKOFF": (4, _backoff), b"UNIQUE": (1, _named("unique", "a unique key")), b"UNTIL": (1, _until),
    b"GROUP": (1, _named("group", "the name of a group")), b"FIFO": (0, _flag("flags", FIFO)),
    b"TTL": (1, _number("ttl_ms", _MS_MAX, "TTL")), b"AFTER": (1, _after),
    b"MAXLEN": (1, _number("maxlen", _MS_MAX, "MAXLEN")), b"OVERFLOW": (1, _overflow), b"WAIT": (1, _wait),
    b"KEEP": (1, _number("keep_ms", _MS_MAX, "KEEP")), b"KIND": (1, _named("kind", "the kind of a job")),
    b"REPLACE": (0, _flag("replace", True)), b"ORFAIL": (0, _flag("or_fail", True)),
    b"FOLLOW": (1, _number("follow", (1 << 63) - 1, "FOLLOW")),
}


def named_options(words, flags, texts):
    """{option: True or its word} of options that are either flags or have one word.  Raises CommandError."""
    found, at = {}, 0
    while at < len(words):
        option = words[at].upper()
        at += 1
        if option in flags:
            found[option] = True
        elif option in texts and at < len(words):
            found[option] = words[at]
            at += 1
        else:
            raise syntax_error()
    return found


# -- which words are keys ---------------------------------------------------------------------------------------------


def keys_of_put(argv):
    """The indexes of the queue and of the ids behind AFTER in JOB.PUT."""
    return [1] + _keys_after(argv, 4)


def keys_of_putmany(argv):
    """The same of JOB.PUTMANY."""
    count = argv[2] if len(argv) > 2 and argv[2].isdigit() and len(argv[2]) < 10 else b"0"
    return [1] + _keys_after(argv, 3 + 2 * int(count))


def _keys_after(argv, at):
    while at < len(argv):
        option = argv[at].upper()
        count, _ = _OPTIONS.get(option, (0, None))
        at += 1 + count
        if option == b"AFTER" and at <= len(argv) and argv[at - 1].isdigit() and len(argv[at - 1]) < 10:
            return list(range(at, min(at + int(argv[at - 1]), len(argv)))) + _keys_after(argv, at + int(argv[at - 1]))
    return []


def keys_of_reserve(argv):
    """The indexes of the queues in JOB.RESERVE."""
    at, step = 1, 1
    while at + 1 < len(argv):
        option, word = argv[at].upper(), argv[at + 1]
        if option == b"ORDER" and word.lower() == b"weighted":
            step = 2
        if option == b"QUEUES":
            count = int(word) if word.isdigit() and len(word) < 10 else 0
            return [index for index in range(at + 2, at + 2 + step * count, step) if index < len(argv)]
        at += 2
    return []
