"""The loop: lanes, sockets, and the work beside them, in one thread.

    serve lanes that have something -> look at the sockets now and then -> a slice of growth, expiry or cleaning
    -> nothing for some tens of microseconds: set SLEEPING, look at every lane once more, wait in the selector

While it is awake, clients post into their lanes without a system call; when they find SLEEPING set they ring, one byte
on their socket.  A client that waits longer than it likes to spin rings in any case before it blocks, and whoever rings
gets its lane looked at and, when HEAD is what WAITING says or beyond, a byte back: that is why no wake-up can be lost,
whatever order stores become visible in.  Where a write may cost that others are evicted, lanes are served in slices
(lane_service.due), so that a turn stays short.

Invariants
 1. Nothing here waits for a client: sockets do not block, output is bounded, a lane is visited for a millisecond.
 2. What goes wrong with one session ends that session.
 3. Replies leave after the effects they tell of are published.
"""

import os
import random
import time
import traceback

from ..engine.claims import Claims
from ..engine.acl import Acl
from ..engine.commands import CATALOGUE, COMMON_ROWS
from ..engine.commands.fast import make_run_fast
from ..engine.commands.fastruns import make_run_alike
from ..engine.commands.run import as_write
from ..engine.policies import REFUSE
from ..engine.jobs.following import Following
from ..engine.jobs.service import Jobs
from ..engine.listening import Listening
from ..engine.locks.service import Locks
from ..engine.oversight import Oversight
from ..engine.pubsub import PubSub
from ..engine.scheduling import Scheduler
from ..engine.settings import Settings
from ..engine.tracking import Tracking
from ..engine.waiting import Waiting
from ..errors import InvariantError, LaneError, NosqgridError
from ..formats import arena as arena_format
from ..formats import lane as lane_format
from ..formats.resp import encode_error
from ..limits import PARTIAL_COMMAND_TIMEOUT_S, SPIN_US_COORDINATOR
from ..storage.wal import ALWAYS
from . import accounts, durability, lane_service, sockets
from .admission import Admission, Remote
from .asked import Asked
from .clock import Clock
from .large_values import LargeValues
from .ordering import cpu_count
from .pins import Pins
from .poller import READ, WRITE, Poller
from .processes import Processes
from .session import Session
from .space import Space

SOCKETS_EVERY_S = 0.0005  # how long a busy loop leaves the sockets alone
CROWDED_S = 0.00003  # a turn without work that lasts longer than this was not alone on its processor
IDLE_LOOKS = 20  # at the lanes, 2 to 4 us with one of them
SLEEP_S_MAX = 3600.0  # a selector takes no more than some weeks
SWEEP_S = 1.0  # how often commands that do not get finished are looked for
FIRST_CLIENT_S = 30.0  # for which a coordinator that lingers waits for its first client


class Coordinator(Asked):
    """Serves one grid on one listener.

    `access` tells by (uid, gid) whether somebody may connect and whether he may write; `log(text)` takes a line.
    With `memory_bytes_max` the memory grows up to there when it must (elastic); `policy` (engine/evictor) is what
    happens when it is full.
    `remote` (admission.Remote) says how Redis clients come in.
    `storage` is durability.options(): what is kept on disk.  open() brings it back, run() serves, close() ends it.
    With `linger_s` the coordinator is there for its clients: it ends that long after the last one has left.
    """

    def __init__(self, listener, memory_bytes, access, log, clock=Clock, shared_file_options=None, storage=None,
                 linger_s=None, memory_bytes_max=0, policy=REFUSE, remote=Remote()):
        self.listener = listener
        self.log = log
        self.clock = clock
        self.random_bits = random.SystemRandom().getrandbits  # for what nobody may guess
        self.chance = random.Random(self.random_bits(128)).getrandbits  # for what commands choose: a tenth of its cost
        self.file_options = shared_file_options or {}
        self.started_ms = clock.monotonic_ms()
        self.pins = Pins(self)
        self.large_values = LargeValues(self)
        self.processes = Processes(self)
        self.arena = None
        self._memory_bytes_max = memory_bytes_max
        self.policy = policy
        self.claims = Claims(self.answer)
        self.pubsub = PubSub(self.push)
        self.settings = Settings()
        self._sessions = {}
        self.acl = Acl(CATALOGUE, self.sessions, clock.monotonic_ms)
        accounts.begin(self.acl, self.settings, remote)
        self.make_arena(memory_bytes)
        self.commands_ended = 0
        self.lanes_refused = 0  # sessions that write over their socket for want of memory
        self._ended = []  # sessions, since the last sweep
        self._anchors = {}  # number of an attachment -> the session that inherits from it (asked.accompany)
        self._lanes = []
        self._stopping = False
        self.closing = False
        self.at_end = None  # called when all is on the disk, before the last client hears that it is over
        self._last_sweep = 0.0
        self._wall_offset_ms = clock.wall_ms() - clock.monotonic_ms()
        self._linger_s, self._alone_since = linger_s, time.monotonic() + FIRST_CLIENT_S
        self._pending = set()  # sessions whose parser may hold whole commands
        self.selector = Poller()
        self.admission = Admission(self, access, remote)
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        self.selector.register(self._wake_read, READ, self._woken)
        self.durability = durability.Durability(self, storage or durability.options())
        self._group_commits = self.durability.options.level == ALWAYS
        self._spin_s = 0.0 if cpu_count() < 2 else SPIN_US_COORDINATOR / 1e6

    def make_arena(self, memory_bytes):
        """An arena with so much memory and an empty keyspace in it, in the place of what is there."""
        if self.arena is not None:
            self.arena.file.close()
        self.memory_bytes = memory_bytes
        space = Space(self, memory_bytes, self._memory_bytes_max, self.policy, self._wall_ms)
        self.budget, self.arena, self.keyspace = space.budget, space.arena, space.keyspace
        self.elastic = space.elastic
        self.blocked = Waiting(space.keyspace, self.answer, as_write)
        self.locks = Locks(space.keyspace, self.blocked, self.processes, as_write)
        self.jobs = Jobs(space.keyspace, self.processes, as_write, self.chance)
        self.following = Following(self.jobs, self.blocked)
        self.oversight = Oversight(space.keyspace, self.show, self.run_held, self.sessions, self.clock.monotonic_us)
        self.tracking = Tracking(space.keyspace, self.push, self.session_of, self.hurry)
        self.listening = Listening(space.keyspace)
        self.schedules = Scheduler(space.keyspace, self.put_scheduled, self.clock.local, as_write, self.log)
        self.run_fast = make_run_fast(space.keyspace, self.pubsub, self.blocked, COMMON_ROWS)
        self.run_alike = make_run_alike(space.keyspace, self.pubsub)

    # -- from outside -------------------------------------------------------------------------------------------------

    def stop(self):
        """End the loop soon; safe from a signal handler."""
        self._stopping = True
        self.wake()

    def wake(self):
        """End a sleep; safe from a signal handler and from another thread."""
        try:
            os.write(self._wake_write, b"s")
        except BlockingIOError:
            return  # the pipe is full of reasons to wake up already

    @property
    def wake_fd(self):
        """For signal.set_wakeup_fd: a signal has to end the sleep."""
        return self._wake_write

    def add_lane(self, session, lane):
        """From now on this session's lane is looked at."""
        session.lane = lane
        self._lanes.append(session)

    def look_at(self, session):
        """Something about a session changed without anything arriving from it."""
        if not session.closed:
            self._pending.add(session)

    # -- the loop -----------------------------------------------------------------------------------------------------

    def open(self):
        """Bring back what the directory holds; raises StorageError or StartError where that cannot be."""
        self.durability.open()
        self.keyspace.now_ms = self.clock.monotonic_ms()
        self.locks.open(self.listener.replaced)
        self.jobs.open()

    def run(self):
        """Serve until stop(); readers may go on reading afterwards."""
        words = self.arena.words
        words[arena_format.STATE] = arena_format.STATE_SERVING
        monotonic, keyspace = time.monotonic, self.keyspace
        give_way = getattr(os, "sched_yield", monotonic)
        last_work = last_sockets = monotonic()
        while not self._stopping:
            now = monotonic()
            keyspace.now_ms = int(now * 1000)
            worked = self._serve_lanes()
            if keyspace.ready:  # by something else than a command
                self.blocked.serve()
            if keyspace.evictor.tracking:
                lane_service.take_notes(self._lanes, keyspace.evictor)
            if self._pending or now - last_sockets > SOCKETS_EVERY_S:
                worked = self._serve_sockets(0) or worked
                last_sockets = now
            if keyspace.work() or worked:
                last_work = now
            elif now - last_work > self._spin_s or not self._lanes:
                self._sleep(words)
                last_work = last_sockets = monotonic()
            elif self._look_again():
                last_work = now
            else:
                # A client may be waiting for this very processor.  Where giving way takes long somebody else wants it:
                # sleep then, because the kernel lets a sleeper that is woken run before those that compute.
                give_way()
                if monotonic() - now > CROWDED_S:
                    last_work = 0.0

    def _look_again(self):
        """Look at the lanes some times more before anything slower is done: most answers are asked for in this time."""
        for _ in range(IDLE_LOOKS):
            for session in self._lanes:
                if session.lane.words[0] != session.lane.head:
                    self._serve_lane(session)
                    return True
        return False

    def _serve_lanes(self):
        worked = self._group_commits and self._serve_together()
        for session in lane_service.due(self._lanes) if self.keyspace.keeps_order else self._lanes:
            lane = session.lane
            if lane.words[0] != lane.head:  # 0 is lane_format.TAIL: this line runs for every lane in every turn
                worked = True
                self._serve_lane(session)
        return worked

    def _serve_together(self):
        """Let the sets of several clients share one sync of the log; whether there were any."""
        served = lane_service.serve_together(self._lanes, self.keyspace)
        for session in served:
            if session.lane.words[lane_format.WAITING]:
                self._ring(session)
        return bool(served)

    def _serve_lane(self, session):
        try:
            lane_service.serve(session, self.keyspace, sockets.queue)
        except LaneError as error:
            self.log("client %d (pid %d): %s; disconnected" % (session.id, session.pid, error))
            self.end_session(session)
            return
        except Exception:
            self._fault(session)
            return
        if 0 < session.lane.words[lane_format.WAITING] <= session.lane.head:
            self._ring(session)
        elif session.output:
            self._after_output(session)

    def _ring(self, session):
        """Wake a client that waits for its lane; it looks again, whether or not this is what it waits for."""
        sockets.queue(session, lane_format.BELL)
        self._after_output(session)

    def _sleep(self, words):
        words[arena_format.SLEEPING] = 1
        if not self._serve_lanes() and not self._pending:
            self._serve_sockets(self._sleep_s(), words)
        words[arena_format.SLEEPING] = 0

    def _by_clock(self):
        """What has to be looked at now and then."""
        return (self.durability, self.pins, self.large_values, self.elastic, self.blocked, self.oversight,
                self.admission, self.tracking, self.listening, self.locks, self.jobs, self.processes,
                self.schedules)

    def _sleep_s(self):
        """For how many seconds nothing has to be done by the clock."""
        wait_s = SLEEP_S_MAX
        due_ms = self.keyspace.expiry.next_deadline_ms()
        if due_ms is not None and self.keyspace.removes_expired:
            wait_s = min(wait_s, max(due_ms - self.clock.monotonic_ms(), 1) / 1000.0)
        if any(session.partial_since for session in self._sessions.values()):
            wait_s = min(wait_s, SWEEP_S)
        now = time.monotonic()
        if self._linger_s is not None and not self._sessions:
            wait_s = min(wait_s, max(self._alone_since + self._linger_s - now, 0.001))
        return min([wait_s] + [part.sleep_s(now) for part in self._by_clock()])

    def _serve_sockets(self, timeout, words=None):
        """Whatever the selector has, waiting up to `timeout` seconds; whether there was anything."""
        events = self.selector.select(timeout)
        if words is not None:
            words[arena_format.SLEEPING] = 0
            self.keyspace.now_ms = self.clock.monotonic_ms()
        for data, mask, fd in events:
            if type(data) is Session:
                self._serve_session(data, mask)
            else:
                data(fd)
        for session in list(self._pending):
            self._pending.discard(session)
            if not session.closed:
                self._run_commands(session)
        self._by_the_clock(time.monotonic())
        return bool(events)

    def _wall_ms(self):
        """The wall clock at the moment that `now_ms` is, so that what a batch translates twice comes out the same."""
        return self.keyspace.now_ms + self._wall_offset_ms

    def _by_the_clock(self, now):
        self._wall_offset_ms = self.clock.wall_ms() - self.clock.monotonic_ms()
        for part in self._by_clock():
            part.tick(now)
        if self._linger_s is not None and not self._sessions and now > self._alone_since + self._linger_s:
            self._stopping = True
        if now - self._last_sweep > SWEEP_S:
            self._last_sweep = now
            self._sweep(now)

    def _serve_session(self, session, mask):
        if session.closed:
            return
        if mask & WRITE and not sockets.flush(session):
            self.end_session(session)
            return
        session.seen_ms = self.keyspace.now_ms
        # Who has whole commands waiting is not read from meanwhile: each feed would copy all that is left.
        if mask & READ and session not in self._pending:
            bells = session.parser.bells
            try:
                state = sockets.serve_short(session, self.run_fast, self.run_alike)
            except Exception:
                self._fault(session)
                return
            if state == sockets.DONE:
                return
            if state == sockets.UNREAD and not sockets.receive(session):
                self.end_session(session)
                return
            self._run_commands(session)
            if session.parser.bells != bells and not session.closed and session.lane is not None:
                self._rung(session)
        elif mask:
            self._after_output(session)

    def _rung(self, session):
        lane = session.lane
        if lane.words[lane_format.TAIL] != lane.head:
            if not self.keyspace.keeps_order:  # else it waits its turn
                self._serve_lane(session)
        elif lane.words[lane_format.WAITING]:
            self._ring(session)

    def _run_commands(self, session):
        done = session.commands
        try:
            more = sockets.run_commands(session, self.keyspace.keeps_order)
        except Exception:
            self._fault(session)
            return
        if more:
            self._pending.add(session)
        if not session.parser.partial:
            session.partial_since = 0.0
            self.large_values.close_received(session)
        elif session.commands != done or not session.partial_since:
            session.partial_since = time.monotonic()
        self._after_output(session)

    def _after_output(self, session):
        if self.tracking.pending:
            self.tracking.flush()  # before he is answered who made the changes
        if session.closed:
            return
        if session.output and not sockets.flush(session) or session.closing and not session.output:
            self.end_session(session)
            return
        watching = bool(session.output)
        if watching != session.watching_output:
            session.watching_output = watching
            mask = READ | (WRITE if watching else 0)
            self.selector.modify(session.sock, mask, session)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def add_session(self, session):
        """Somebody has come in (admission)."""
        self._sessions[session.id] = session
        self.selector.register(session.sock, READ, session)

    def _fault(self, session):
        """A mistake of ours: say where, end the session, go on with the others."""
        self.log("internal error while serving client %d:\n%s" % (session.id, traceback.format_exc()))
        if self.keyspace.behind and self.keyspace.log is not None:
            raise InvariantError("memory does not hold what the log holds: ending, so that a restart brings it back")
        if self.keyspace.staging:
            self.keyspace.rollback()
        if not session.closed:
            sockets.queue(session, encode_error(NosqgridError("internal error; see the coordinator's messages")))
            sockets.flush(session)
            self.end_session(session)

    def end_session(self, session):
        """Give everything of a session back; nothing where that was done."""
        if session.closed:
            return
        session.closed = True
        del self._sessions[session.id]
        self._alone_since = time.monotonic()
        self._pending.discard(session)
        self.commands_ended += session.commands
        self.selector.unregister(session.sock)
        if session.pidfd >= 0:
            self.selector.unregister(session.pidfd)
            os.close(session.pidfd)
        session.sock.close()
        if session.lane is not None:
            self._lanes = [other for other in self._lanes if other is not session]
            self.pins.session_ended(session)
        self.pass_on(session)
        for part in (self.large_values, self.claims, self.locks, self.jobs, self.following, self.blocked, self.pubsub,
                     self.oversight, self.admission, self.tracking, self.listening):
            part.session_ended(session)
        self._ended.append(session)

    def _sweep(self, now):
        while self._ended:
            self._ended.pop().let_go()  # nothing that it called is under way any more
        for session in self.sessions():
            if session.closing or session.partial_since and now - session.partial_since > PARTIAL_COMMAND_TIMEOUT_S:
                self.end_session(session)

    def _woken(self, fd):
        os.read(fd, 4096)

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self):
        """Make what was written safe, end every session and give everything back; the arena lives on in its readers.

        Raises StorageError where the last checkpoint or the log could not be written; all else is done then too.
        """
        self.closing = True
        self.locks.close()
        self.jobs.close()
        self.arena.words[arena_format.STATE] = arena_format.STATE_STOPPED
        self.admission.close()
        for session in self.sessions():
            sockets.flush(session)
            if not session.leaving:
                self.end_session(session)
        try:
            self.durability.close()
        finally:
            self._close_rest()

    def abandon(self):
        """Give everything back after open() or run() failed; nothing is written."""
        self.admission.close()
        self.durability.abandon()
        self._close_rest()

    def _close_rest(self):
        if self.at_end is not None:
            self.at_end()
        for session in self.sessions():
            sockets.flush(session)
            self.end_session(session)
        self.pins.close()
        self.processes.close()
        self.keyspace.larges.close()
        self.selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self.arena.file.close()
