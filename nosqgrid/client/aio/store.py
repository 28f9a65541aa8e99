"""The store as asyncio sees it: it runs the steps of an operation (client/steps) by awaiting each.

Each event loop has connections of its own: one for what is answered at once, which owns what was granted in that loop,
and one for each call that waits, kept for the next when it is over.  What was granted over one of those is inherited
by the first (NOSQGRID.INHERIT) before the operation goes on.

Invariants
 1. A call that waits and is cancelled has its connection closed: the coordinator takes back what it was granted there.
 2. A command that was sent is not unsent by a cancellation.  The operation is told of that at its step, and says what
    is to be taken back (`late`); that is sent behind it, over the same connection.
 3. There is no thread, and nothing that waits but the event loop; with one exception: where a grid of open() has to
    start another coordinator, that is waited for.
"""

import asyncio
import inspect
import itertools
import os
import threading
import weakref
from contextlib import suppress

from ...errors import (CommandError, CoordinatorError, CoordinatorLostError, CoordinatorTimeoutError, LockLostError,
                       NosqgridError, NotServedError)
from ..link import checked_reply
from ..links import IDLE_MAX, OWED_MAX
from ..locks.held import Held
from ..queues.got import Got
from ..steps import THREAD, Pause
from ..store import RETRY_S
from .connection import Connection

LATE_S = 1.0  # for the word that something was taken back: it is, also where the word does not come
current_task = getattr(asyncio, "current_task", None) or asyncio.Task.current_task  # 3.6
_numbers = itertools.count(1)
_words = weakref.WeakKeyDictionary()  # task -> what it is called; never that of another, as an id() would be one day
_tasks = weakref.WeakValueDictionary()  # the other way round


def task_word():
    """Who asks, among the tasks of this process."""
    task = current_task()
    word = _words.get(task)
    if word is None:
        word = _words[task] = b"task %d" % next(_numbers)
        _tasks[word] = task
    return word


def has_ended(word):
    """Whether the task with this word has: up to 3.11 asyncio.wait_for() has a task of its own for what it awaits."""
    task = _tasks.get(word)
    return task is None or task.done()


class TaskGot(Got):
    """What tasks of one event loop got out of queues.  What one got that has ended is anybody's."""

    def __init__(self):
        super().__init__(_nothing, task_word)
        self._at_exit = True  # what is not done by the end of the loop is given back

    def before_next(self, raw_queue):
        self._take_over(raw_queue)
        return super().before_next(raw_queue)

    def done(self, raw_queue):
        self._take_over(raw_queue)
        return super().done(raw_queue)

    def _take_over(self, raw_queue):
        items = self._all().get(raw_queue)
        for item in items.items if items is not None else ():
            if has_ended(item.thread):
                item.thread = task_word()


def _nothing(*words):
    """Nobody to say anything to."""


class AioStore(object):
    """One per grid; `here()` is what the running event loop has of it.  Everything else is the grid's own store."""

    def __init__(self, store):
        self._store = store
        self._loops = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._parents = None

    def __getattr__(self, name):
        return getattr(self._store, name)

    def here(self):
        """The Connections of the running event loop."""
        self._store.check_open()
        if self._pid != os.getpid():
            self._parents = self._loops  # theirs, and not to be ended here by the garbage collector
            self._loops, self._lock, self._pid = {}, threading.Lock(), os.getpid()
        loop = asyncio.get_event_loop()
        found = self._loops.get(loop)
        if found is None:
            with self._lock:
                for other in [other for other in list(self._loops) if other.is_closed()]:
                    self._loops.pop(other).end()
                found = self._loops[loop] = Connections(self._store, loop, self._forget)
        return found

    def _forget(self, loop):
        self._loops.pop(loop, None)

    @property
    def held(self):
        """What was granted in this event loop."""
        return self.here().held

    @property
    def got(self):
        """What queues handed over in this event loop."""
        return self.here().got

    @property
    def attachment(self):
        """What a session of this event loop is known by."""
        return self.here().main()

    @staticmethod
    def thread():
        """Who asks, among those of this process: the word behind THREAD."""
        return task_word()

    async def run(self, generator):
        """Run the steps of an operation to their end; what it returns.  Whatever interrupts one is thrown in there."""
        here, reply, error = self.here(), None, None
        try:
            while True:
                step = generator.send(reply) if error is None else generator.throw(error)
                reply = error = None
                try:
                    reply = await here.perform(step)
                except GeneratorExit as end:  # the loop is over, and nothing can be awaited any more
                    here.post_late(generator, end)
                    raise
                except BaseException as raised:
                    error = raised
        except StopIteration as stop:
            return stop.value
        finally:
            error = None  # its frames lead to this one

    def close(self):
        """End the connections of all event loops; who awaits something gets CoordinatorLostError."""
        for loop, found in list(self._loops.items()):
            if found.thread == threading.get_ident() or loop.is_closed():
                found.end()
            else:
                with suppress(RuntimeError):  # closed meanwhile: its connections end with it
                    loop.call_soon_threadsafe(found.end)


class Connections(object):
    """Those of one event loop, and what was granted there."""

    def __init__(self, store, loop, forget):
        self.store, self.loop = store, loop
        self.thread = threading.get_ident()
        self.held, self.got = Held(), TaskGot()
        self.watchers = set()
        self._forget = forget
        self._main = None
        self._idle = []
        self._busy = set()
        self._owed = []
        self._until = self._until_the_loop_ends()
        with suppress(StopIteration):  # it has begun
            self._until.__anext__().send(None)

    async def _until_the_loop_ends(self):
        """asyncio.run(), and whoever calls loop.shutdown_asyncgens(), ends this, and the connections with it."""
        try:
            yield
        finally:
            self._end()

    def end(self):
        """Close all; what was granted here is given back with that."""
        if self.loop.is_closed():
            self._end()
        else:
            with suppress(StopIteration):  # it has ended
                self._until.aclose().send(None)

    def _end(self):
        self._forget(self.loop)
        for connection in [self._main] * (self._main is not None) + self._idle + list(self._busy):
            connection.end()
        self._idle = []
        if not self.loop.is_closed():
            for task in self.watchers:
                task.cancel()

    # -- the connection that owns -------------------------------------------------------------------------------------

    def main(self):
        """The connection that owns what is granted; a new one, to which all of that is presented, where it is lost."""
        self.store.check_open()
        if self._main is None or not self._main.usable():
            main = Connection(self.loop, self.store.address)
            while self._owed:
                main.request(self._owed.pop(0))
            for grants, words in self.held.claims():
                main.request(words).add_done_callback(lambda future, grants=grants: self._presented(grants, future))
            for words in self.got.touches():
                main.request(words)
            while self._idle:
                self._idle.pop().end()
            self._main = main
        return self._main

    def _presented(self, grants, future):
        if not future.cancelled() and isinstance(future.result(), LockLostError):
            self.held.refused(grants, future.result())

    async def live(self):
        """main(), waited for as long as the grid waits for another coordinator."""
        deadline = self.loop.time() + self.store.reconnect_s
        timeout = self.loop.time() + self.store.timeout_s
        while True:
            try:
                main = self.main()
                await main.introduced(self.store.timeout_s)
                return main
            except (NotServedError, CoordinatorLostError):
                if self.store.starter is not None:
                    self.store.command(b"PING", again=True)
                elif self.loop.time() >= deadline:
                    raise
            except CoordinatorTimeoutError:  # so many connect that this one has to wait
                if self.loop.time() >= timeout:
                    raise
            await asyncio.sleep(RETRY_S)

    # -- steps --------------------------------------------------------------------------------------------------------

    async def perform(self, step):
        """Do one step; what it gives."""
        if type(step) is Pause:
            return await asyncio.sleep(step.seconds)
        words = [task_word() if word is THREAD else word for word in step.words]
        if step.late:
            return await self._call_late(words)
        if not step.waits:
            return await self.command(words, step.again)
        while True:
            try:
                return await self.wait(words, step.timeout_s, step.owns)
            except CoordinatorLostError:
                if not self.store.tries_again or self.store.closed or step.once:
                    raise
                # Nothing was granted, and nobody waits any more: ask the next coordinator.

    async def command(self, words, again=False):
        """A command that is answered at once."""
        reply = await (await self.live()).reply(words, self.store.timeout_s)
        if isinstance(reply, CoordinatorLostError) and again and self.store.tries_again and not self.store.closed:
            reply = await (await self.live()).reply(words, self.store.timeout_s)
        return _raised(reply)

    async def wait(self, words, timeout_s=None, owns=False):
        """A command that waits, over a connection of its own; what it was granted is that of main() then."""
        await self.live()
        connection = await self._take()
        kept = False
        try:
            reply = await connection.reply(words, timeout_s)
            if owns and reply and not isinstance(reply, Exception):
                await self._inherit(connection)
            kept = not connection.ended and not isinstance(reply, CoordinatorError)
        finally:
            self._busy.discard(connection)
            if kept and len(self._idle) < IDLE_MAX and not self.store.closed:
                self._idle.append(connection)
            else:
                connection.end()
        return _raised(reply)

    async def _take(self):
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                break
        else:
            deadline = self.loop.time() + self.store.timeout_s
            while True:
                try:
                    connection = Connection(self.loop, self.store.address)
                    break
                except NotServedError as error:
                    if self._main.usable():
                        raise
                    raise CoordinatorLostError("the coordinator at %s is gone" % self.store.address) from error
                except CoordinatorTimeoutError:
                    if self.loop.time() >= deadline:
                        raise
                await asyncio.sleep(RETRY_S)
        self._busy.add(connection)
        return connection

    async def _inherit(self, connection):
        number = checked_reply(connection.number, int, self.store.address)
        try:
            _raised(await self.main().reply((b"NOSQGRID.INHERIT", number), self.store.timeout_s))
        except CommandError as error:
            raise CoordinatorLostError("the coordinator at %s is another one by now (%s); what was granted is given "
                                       "back" % (self.store.address, error)) from error

    # -- taking back --------------------------------------------------------------------------------------------------

    async def _call_late(self, words):
        future = self._post(words)
        if future is None:
            return None
        await asyncio.wait([future], timeout=LATE_S)
        if not future.done() or isinstance(future.result(), CoordinatorError):
            return self._owe(words) if future.done() else None
        return _raised(future.result())

    def _post(self, words):
        """Send what takes something back; the future of its reply, or None where it has to wait for another main."""
        if self._main is None or self._main.ended or self.store.closed:
            return self._owe(words)
        return self._main.request(words)

    def _owe(self, words):
        """The next coordinator may have in its log what this one could not answer any more."""
        if len(self._owed) < OWED_MAX:
            self._owed.append(words)

    def post_late(self, generator, end):
        """An operation is given up where nothing can be awaited: send what it takes back."""
        with suppress(StopIteration, GeneratorExit):
            step = generator.throw(end)
            while getattr(step, "late", False):
                self._post(step.words)
                step = generator.send(None)

    # -- losing a lock ------------------------------------------------------------------------------------------------

    def watch(self, grant, on_lost):
        """Have on_lost(reason) called, and awaited where that can be, when this grant ends but for its release."""
        task = self.loop.create_task(self._watched(grant, on_lost))
        self.watchers.add(task)
        task.add_done_callback(self.watchers.discard)

    async def _watched(self, grant, on_lost):
        reason = await self._end_of(grant)
        if grant.ended:
            return  # the program gave it back, or has been told by that
        if reason == "released":
            reason = "the coordinator that knew of it is gone"
        grant.lost = reason
        said = on_lost(reason)
        if inspect.isawaitable(said):
            await said

    async def _end_of(self, grant):
        """Wait until the grant is over; why it is.  A coordinator that is started anew may know of it."""
        give_up = self.loop.time() + self.store.timeout_s
        while True:
            try:
                reply = await self.wait((b"LOCK.WATCH", grant.name, grant.token))
                return reply.decode("utf-8", "replace")
            except CoordinatorError as error:
                if self.loop.time() > give_up or grant.ended or self.store.closed:
                    return str(error)
            except NosqgridError as error:
                return str(error)
            await asyncio.sleep(RETRY_S)


def _raised(reply):
    if isinstance(reply, Exception):
        raise reply
    return reply
