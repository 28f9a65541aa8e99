"""A batch: commands collected here, applied by the coordinator together or not at all."""

from ..errors import BatchError
from ..formats import lane as layout
from ..formats.records import BODY
from ..formats.resp import encode_command
from ..formats.values import decode_key
from .mapping import ALWAYS, condition_of, deadline_ms_of, encode_checked, set_frame
from .topics.words import publish_words


class Pipeline(object):
    """Collects commands; `execute` sends them as one atomic batch.

        with grid.pipeline() as p:
            p.set("a", 1)
            p.incr("n")
        print(p.results)            # [version of a, new value of n]

    Towards every other command the batch happens at one moment, and so it will in the log and in checkpoints: none of
    them sees a part of it.  A lock-free reader that reads several keys one after the other may read some before that
    moment and some after it (GridMapping.get_many says how to read several as one).  When one command fails, none is
    applied, and BatchError names it.  Leaving the `with` block by an exception drops the batch.  A Pipeline can be used
    again after execute; it is not for several threads at once.
    """

    def __init__(self, store, raw_key):
        self._store = store
        self._raw = raw_key
        self._frames = []
        self._decoders = []
        self._jobs = []  # that are acknowledged
        self.results = None

    def __len__(self):
        return len(self._frames)

    def _add(self, frame, decoder=None):
        self._frames.append(frame)
        self._decoders.append(decoder)
        return self

    def _command(self, *words, decoder=None):
        encoded = encode_command(*words)
        return self._add(BODY.pack(len(encoded), 0, 0, layout.COMMAND) + encoded, decoder)

    def set(self, key, value, ttl=None, *, if_absent=False, if_present=False, if_version=None):
        """As Grid.set; the result is the version, or None when the condition refused it (which fails nothing)."""
        raw_key, deadline_ms = self._raw(key), deadline_ms_of(ttl)
        value_type, payload = encode_checked(self._store.codec, value, raw_key)
        condition = condition_of(if_absent, if_present, if_version)
        if condition == ALWAYS:
            return self._add(set_frame(raw_key, value_type, payload, deadline_ms))
        return self._command(b"NOSQGRID.SET", raw_key, payload, value_type, deadline_ms, *condition)

    __setitem__ = set

    def get(self, key):
        """The result is the value, or None; it sees what the batch did before."""
        raw_key, codec = self._raw(key), self._store.codec
        return self._command(b"NOSQGRID.GETV", raw_key, decoder=lambda reply: None if reply is None
                             else codec.decode(reply[0], reply[1], raw_key))

    def delete(self, key):
        """The result is True if the key was there."""
        raw_key = self._raw(key)
        return self._add(BODY.pack(0, len(raw_key), 0, layout.DELETE) + raw_key, bool)

    def incr(self, key, by=1):
        """As Grid.incr."""
        return self._command(b"NOSQGRID.ADD", self._raw(key), by)

    def expire(self, key, seconds):
        """As Grid.expire."""
        return self._command(b"NOSQGRID.DEADLINE", self._raw(key), deadline_ms_of(seconds), decoder=bool)

    def persist(self, key):
        """As Grid.persist."""
        return self._command(b"NOSQGRID.DEADLINE", self._raw(key), 0, decoder=bool)

    def publish(self, topic, value):
        """Publish to a topic, by its name or as Grid.topic() gives it; the result is the message's number."""
        return self._command(*publish_words(self._store.codec, topic, value))

    def put(self, queue, obj, **options):
        """As Queue.put, which waits for nothing here: the job is there if and when the rest of the batch is.

        The result is its id.  A full queue fails the batch, unless `overflow` says what else is to happen.
        """
        return self._command(*queue.put_words(obj, **options), b"ORFAIL",
                             decoder=lambda reply: None if reply is None else decode_key(reply[0]))

    def ack(self, job, result=None):
        """As ReservedJob.ack: the job is done if and when the rest of the batch is; a stale receipt fails all of it."""
        words = job.ack_words(result)
        job.in_pipeline = True
        self._jobs.append(job)
        return self._command(*words, decoder=bool)

    def execute(self):
        """Apply the batch; the list of results, in order.  Raises BatchError, GridFullError: nothing was applied."""
        frames, decoders, jobs = self._frames, self._decoders, self._jobs
        self._frames, self._decoders, self._jobs = [], [], []
        if not frames:
            self.results = []
            return self.results
        try:
            replies = self._store.call("batch", b"".join(frames))
        except BaseException as error:
            _set(jobs, "in_pipeline", False)
            if isinstance(error, BatchError) and error.index is None:
                error.index = _index_in(str(error))
            raise
        _set(jobs, "finished", True)
        self.results = [reply if decoder is None else decoder(reply) for reply, decoder in zip(replies, decoders)]
        return self.results

    def discard(self):
        """Forget what was collected."""
        _set(self._jobs, "in_pipeline", False)
        self._frames, self._decoders, self._jobs = [], [], []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.execute()
        else:
            self.discard()


def _set(jobs, name, value):
    for job in jobs:
        setattr(job, name, value)


def _index_in(message):
    """The position that a BatchError's text names: the error came over the wire, where only the text travels."""
    words = message.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
