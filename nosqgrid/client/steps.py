"""Operations as steps, so that callers that wait and callers that await share them.

An operation is a generator.  It yields what is to be done and is sent what came of it, an error being thrown in:

    Call(words)              a command that is answered at once; its reply
    Call(words, waits=True)  one that may wait for somebody else; its reply.  What it grants is the caller's.
    Pause(seconds)           nothing, for that long

run() is for callers that wait.  Whatever interrupts a step is thrown in at that step, so that the operation can take
back what it has asked for.
"""

import time
from collections import namedtuple

Call = namedtuple("Call", "words waits timeout_s")
Call.__new__.__defaults__ = (False, None)
Pause = namedtuple("Pause", "seconds")


def run(store, steps):
    """Run an operation on a store (client/store) to its end; what it returns."""
    reply = error = None
    try:
        while True:
            step = steps.send(reply) if error is None else steps.throw(error)
            reply = error = None
            try:
                reply = perform(store, step)
            except BaseException as raised:
                error = raised
    except StopIteration as stop:
        return stop.value
    finally:
        error = None  # its frames lead to this one


def perform(store, step):
    """Do one step; what it gives."""
    if type(step) is Pause:
        return time.sleep(step.seconds)
    if step.waits:
        return store.links.wait(*step.words, timeout_s=step.timeout_s)
    return store.command(*step.words)
