"""Operations as steps, so that callers that wait and callers that await share them.

An operation is a generator.  It yields what is to be done and is sent what came of it, an error being thrown in:

    Call(words)              a command that is answered at once; its reply
    Call(words, waits=True)  one that may wait for somebody else; its reply.  What it grants is the caller's.
    Pause(seconds)           nothing, for that long

A call that `owns` may be granted something that is to outlive the connection (client/links).  A `late` one takes back
what an interrupted one asked for: where the coordinator is gone, or it is interrupted itself, it is made before the
next that owns.  One that may be made `again` is, at the next coordinator, where this one ends in its middle and the
grid is one that reconnects (client/store); so is each that waits, but for one that is to be made `once`: whether it
came to pass is not known then.  The word THREAD stands for who waits, among those of this process.

run() is for callers that wait.  Whatever interrupts a step is thrown in at that step, so that the operation can take
back what it has asked for.
"""

import time
from collections import namedtuple

from ..errors import CallerError, ClosedError, CoordinatorError, CoordinatorLostError, NotServedError

Call = namedtuple("Call", "words waits timeout_s owns late again once")
Call.__new__.__defaults__ = (False, None, False, False, False, False)
Pause = namedtuple("Pause", "seconds")
THREAD = object()


def run(store, steps):
    """Run an operation on a store (client/store) to its end; what it returns.

    An interrupt in here, between two steps, is thrown in as well.
    """
    reply = error = None
    try:
        while True:
            try:
                while True:  # within, for an interrupt at the jump back is one between two steps
                    step = steps.send(reply) if error is None else steps.throw(error)
                    reply = error = None
                    reply = perform(store, step)
            except StopIteration as stop:
                return stop.value
            except BaseException as raised:
                if steps.gi_frame is None:
                    raise  # the operation has ended with it
                reply, error = None, raised
    finally:
        error = None  # its frames lead to this one


def perform(store, step):
    """Do one step; what it gives."""
    if type(step) is Pause:
        return time.sleep(step.seconds)
    words = step.words
    if THREAD in words:
        words = [store.thread() if word is THREAD else word for word in words]
    if step.late:
        return _call_late(store, words)
    if step.owns:
        _prepare_to_own(store)
    if not step.waits:
        return store.command(*words, again=step.again)
    while True:
        try:
            return store.links.wait(*words, timeout_s=step.timeout_s, inherit=step.owns)
        except (CoordinatorLostError, NotServedError) as error:
            if not store.tries_again or store.closed or step.once:
                raise
            store.regain(error)  # nothing was granted, and nobody waits any more: ask the next coordinator


def _prepare_to_own(store):
    while True:
        try:
            return store.links.prepare_to_own()
        except CoordinatorLostError:
            if not store.tries_again or store.closed:
                raise


def _call_late(store, words):
    try:
        return store.command(*words)
    except ClosedError:
        return None
    except CallerError:
        raise  # it was refused: nothing is owed
    except CoordinatorError:
        store.links.owe(words)  # the next coordinator may have in its log what this one could not answer any more
        return None
    except BaseException:
        store.links.owe(words)
        raise
