"""To be told of the ends of jobs: JOB.FOLLOWED, and the option FOLLOW of JOB.PUT and JOB.PUTMANY.

    JOB.FOLLOWED ms id...    [[id, state, type, result or error]...] of the jobs that this session follows and that have
                             ended since it asked last; it follows those ids from now on too.  Where none has, it waits
                             for so long (-1: for ever) for the next one.  `forgotten`: nothing is kept of that job
    FOLLOW number            the session with this number, one of the same process, follows the job that is put
"""

from ... import errors
from . import job_words
from .command import PLAIN, Command


def followed(context, args):
    """Tell which of the jobs that this session follows have ended."""
    waits, timeout_s = job_words.wait_s(args[0])
    following = context.server.following
    following.follow(context.session, args[1:])
    told = following.told(context)
    return told if told or not waits else following.ask(context, timeout_s)


def follower_of(context, number):
    """The session with a number, if it may be told of what this one puts.  Raises CommandError."""
    other, own = context.server.session_of(number), context.session
    if other is None or (other.local, other.pid, other.uid) != (own.local, own.pid, own.uid):
        raise errors.CommandError("session %d, which is to FOLLOW the job, is none of this process" % number)
    return other


def _keys(argv):
    return range(2, len(argv))


COMMANDS = (
    Command(b"JOB.FOLLOWED", followed, -2, PLAIN | {"blocking", "movablekeys"}, 0, 0, 0, None, _keys),
)
