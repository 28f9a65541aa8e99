"""The interleaving explorer: run two or three actors over one Memory in every order of their accesses, not in some.

    def scenario(memory):                      # called afresh for every execution; its own accesses are no steps
        keyspace = ...(memory.words, memory.arena)
        reader = Reader(memory.reader_words, memory.reader_arena, memory.unpacker(HEADER))
        return [lambda: keyspace.store(b"k", ...), lambda: reader.get(b"k")]

    def check(results):                        # results[i] is what actor i returned; results.memory has the history
        assert results[1] in (None, b"v")

    explore(scenario, check, bound=3)          # -> Result(count, exhausted), or ScheduleFailure

How it works.  Each actor is a thread, and only one of them runs: before every access (a step, see stand_ins) the
running actor chooses who makes the next one, and if that is another it opens the other's gate and waits at its own.  A
choice costs about a microsecond, a hand-over some five, because all the threads are kept on one CPU.  The choices made
where there was one are the schedule.  To search is to execute again with a schedule that begins like the last one,
differs in its last choice that had an alternative left, and from there on lets each actor run until it ends: depth
first, without keeping any state but the schedule (stateless search, as in VeriSoft).

 - bound=None takes every schedule: for actors of m and n steps that is (m + n)! / (m! n!).
 - bound=k takes those in which an actor that could go on was interrupted at most k times.  Most bugs need one or two
   (Musuvathi and Qadeer, "Iterative context bounding", 2007), and the number grows with steps ** k only.
 - seed=... draws `limit` random schedules: for what is too large for either.

Invariants
 1. An actor that was let go makes exactly one access before the next choice; what it does in Python before that access
    belongs to that step, and what it does after its last access belongs to the last one.
 2. The same schedule gives the same execution.  Scenarios therefore take no clock, no unseeded random numbers, no ids.
 3. When explore() is left, by whatever way, its threads are gone: those still waiting are woken by _Abandoned, which
    is no Exception, so that the code under test does not catch it.  Only an actor that blocks on something else than
    the memory cannot be ended; that is a failure after STUCK_S, and its thread is a daemon.

A failure is a ScheduleFailure that holds the schedule, the trace of its accesses, made by executing it once more, and
the original exception as its cause; `replay` runs the one schedule again, under a debugger for instance.
"""

import contextlib
import itertools
import os
import random
import threading
from collections import namedtuple

from tests.explorer.stand_ins import HALVES, WORDS, Memory

__all__ = ["HALVES", "WORDS", "Livelock", "Memory", "NotDeterministic", "Result", "Results", "ScheduleFailure",
           "explore", "replay"]

STEPS_MAX = 5000  # of one execution; beyond, somebody loops for ever
STUCK_S = 30.0  # without any actor ending or failing

Result = namedtuple("Result", "count exhausted")  # executions made; whether those were all that the bound allows


class Livelock(AssertionError):
    """An execution did not end within steps_max steps."""


class NotDeterministic(AssertionError):
    """The same choices led elsewhere: the scenario depends on something that is not in it."""


class ScheduleFailure(AssertionError):
    """An actor or the check failed; `schedule` replays it, `trace` lists (actor index, access)."""

    def __init__(self, message, schedule, trace):
        super().__init__(message)
        self.schedule = schedule
        self.trace = trace


class Results(list):
    """What the actors returned, by their index; `memory` is what they ran over, `memory.history` their operations."""

    memory = None


class _Abandoned(BaseException):
    """Unwinds an actor whose execution is over before it is."""


# -- who goes next ----------------------------------------------------------------------------------------------------


class _Systematic:
    """Depth first: repeat `schedule`, then let everybody run on, noting at each choice what else could be taken."""

    def __init__(self, bound, schedule=()):
        self.bound = bound
        self.schedule = list(schedule)
        self.untried = [()] * len(self.schedule)
        self.position = 0
        self.preemptions = 0

    def begin(self):
        self.position = 0
        self.preemptions = 0

    def choose(self, running, alive):
        """The actor to make the next step; `running` made the last one, None where it has ended."""
        position = self.position
        self.position = position + 1
        if position < len(self.schedule):
            chosen = self.schedule[position]
            if chosen not in alive:
                raise NotDeterministic("choice %d of %r is actor %r, but only %r can go on"
                                       % (position, self.schedule, chosen, alive))
        else:
            chosen, untried = running, ()
            if running is None:
                chosen, untried = alive[0], alive[1:]
            elif self.bound is None or self.preemptions < self.bound:
                untried = tuple(actor for actor in alive if actor != running)
            self.schedule.append(chosen)
            self.untried.append(untried)
        if running is not None and chosen != running:
            self.preemptions += 1
        return chosen

    def expect_all_taken(self):
        if self.position < len(self.schedule):
            raise NotDeterministic("the execution ended after %d choices of %r" % (self.position, self.schedule))

    def advance(self):
        """Turn to the next schedule; False when there is none."""
        self.expect_all_taken()
        while self.schedule:
            self.schedule.pop()
            untried = self.untried.pop()
            if untried:
                self.schedule.append(untried[0])
                self.untried.append(untried[1:])
                return True
        return False


class _Random:
    """Random schedules, some of long runs and some of short ones."""

    SWITCH_CHANCES = (0.03, 0.1, 0.2, 0.35, 0.5)

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.begin()

    def begin(self):
        self.schedule = []
        self.chance = self.rng.choice(self.SWITCH_CHANCES)

    def choose(self, running, alive):
        if running is None or self.rng.random() < self.chance:
            running = self.rng.choice([actor for actor in alive if actor != running])
        self.schedule.append(running)
        return running

    def advance(self):
        return True


# -- one execution ----------------------------------------------------------------------------------------------------


class _Threads:
    """One parked thread an actor, kept from execution to execution: starting one costs more than most executions."""

    def __init__(self):
        self.gates = []
        self.threads = []
        self.main_gate = threading.Lock()
        self.main_gate.acquire()
        self.execution = None
        self.stuck = False  # an actor blocks on something that nobody here can open
        self.closed = False

    def provide(self, count):
        while len(self.threads) < count:
            gate = threading.Lock()
            gate.acquire()
            thread = threading.Thread(target=self._work, args=(len(self.threads), gate), daemon=True)
            self.gates.append(gate)
            self.threads.append(thread)
            thread.start()

    def _work(self, index, gate):
        while True:
            gate.acquire()
            if self.closed:
                return
            self.execution.run_actor(index)
            if self.closed:  # it was stuck, and nobody waits for it any more
                return

    def wait(self):
        """Wait until the execution is over; False when it never will be."""
        self.stuck = self.stuck or not self.main_gate.acquire(timeout=STUCK_S)
        return not self.stuck

    def over(self):
        """Tell the one who waits."""
        if not self.closed:
            self.main_gate.release()

    def close(self):
        self.closed = True
        for gate, thread in zip(self.gates, self.threads):
            gate.release()
            if not self.stuck:
                thread.join()
        self.execution = None


class _Execution:
    """The actors of one scenario, run to their ends under one policy."""

    def __init__(self, threads, memory, actors, policy, steps_max):
        self.threads = threads
        self.memory = memory
        self.actors = actors
        self.policy = policy
        self.steps_max = self.steps_left = steps_max
        self.alive = tuple(range(len(actors)))
        self.started = [False] * len(actors)
        self.starting = False  # the running actor was let go for the first time and has not made a step yet
        self.abandoned = False
        self.error = None  # (actor, exception) of the first failure
        self.results = Results([None] * len(actors))
        self.results.memory = memory

    def run(self):
        """Returns the Results, or raises what an actor raised."""
        self.threads.provide(len(self.actors))
        self.threads.execution = self
        self.memory.step = self.step
        over = False
        try:
            self._let_go(self._choose(None))
            over = self.threads.wait()
            if not over:
                raise Livelock("actor %r blocks on something that is not the memory" % self.memory.actor)
        except _Abandoned:  # the very first choice was impossible, so that nobody runs
            over = True
        finally:
            self._abandon(over)
            self.memory.step = None
        if self.error is not None:
            raise self.error[1]
        return self.results

    def step(self):
        """Called by the running actor before each access; returns when it may make it."""
        actor = self.memory.actor
        if self.starting:
            self.starting = False
        elif len(self.alive) > 1 and not self.abandoned:
            following = self._choose(actor)
            if following != actor:
                self._let_go(following)
                self.threads.gates[actor].acquire()
        if self.abandoned:
            raise _Abandoned
        self.steps_left -= 1
        if self.steps_left < 0:
            self._give_up(Livelock("not at an end after %d steps: somebody loops for ever" % self.steps_max))
        self.memory.tick()

    def run_actor(self, index):
        """The body of an actor's thread."""
        try:
            self.results[index] = self.actors[index]()
        except _Abandoned:
            self.results[index] = None
        except BaseException as error:  # whatever it is, it belongs to the schedule that caused it
            self.error = self.error or (index, error)
        self.alive = tuple(actor for actor in self.alive if actor != index)
        following = None
        if self.alive and self.error is None and not self.abandoned:
            try:
                following = self._choose(None)
            except _Abandoned:
                following = None
        if following is None:
            self.threads.over()
        else:
            self._let_go(following)

    def _choose(self, running):
        if len(self.alive) == 1:
            return self.alive[0]
        try:
            return self.policy.choose(running, self.alive)
        except NotDeterministic as error:
            return self._give_up(error)

    def _let_go(self, actor):
        self.memory.actor = actor
        self.starting = not self.started[actor]
        self.started[actor] = True
        self.threads.gates[actor].release()

    def _give_up(self, error):
        self.error = self.error or (self.memory.actor, error)
        raise _Abandoned

    def _abandon(self, over):
        """Unwind whoever is still in the middle of something; not `over` means that somebody still runs."""
        self.abandoned = True
        if not over and self.alive and not self.threads.wait():
            return
        for actor in self.alive:
            if self.started[actor]:
                self.threads.gates[actor].release()
                if not self.threads.wait():
                    return


@contextlib.contextmanager
def _one_cpu():
    """Keep this thread, and those it starts, on one CPU: a hand-over between two costs five times as much."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    cpus = sorted(before)
    os.sched_setaffinity(0, {cpus[os.getpid() % len(cpus)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# -- the search -------------------------------------------------------------------------------------------------------


def explore(make_scenario, check, bound=None, limit=None, seed=None, memory=Memory, steps_max=STEPS_MAX):
    """Execute a scenario under every schedule, and check what came out of each.

    Args:
      make_scenario: make_scenario(memory) -> list of actors, callables without arguments; builds all state afresh.
      check: check(results) raises AssertionError when an execution must not end so.
      bound: how many times an actor may be interrupted; None for any number.
      limit: executions at most.
      seed: draw `limit` random schedules instead of all in order.
      memory: memory() -> Memory, a functools.partial(Memory, ...) for instance.
      steps_max: of one execution; more is a Livelock.
    Returns: Result(count, exhausted); exhausted is False when `limit` ended the search.
    Raises: ScheduleFailure.
    """
    if seed is not None and limit is None:
        raise ValueError("random schedules never end by themselves: give a limit")
    policy = _Systematic(bound) if seed is None else _Random(seed)
    count = 0
    with _one_cpu(), _running_threads() as threads:
        while True:
            if limit is not None and count >= limit:
                return Result(count, False)
            policy.begin()
            try:
                _execute(threads, make_scenario, check, policy, memory, steps_max)
                more = policy.advance()
            except Exception as error:
                raise _explained(threads, make_scenario, check, policy.schedule, memory, steps_max, error) from error
            count += 1
            if not more:
                return Result(count, True)


def replay(make_scenario, check, schedule, memory=Memory, steps_max=STEPS_MAX):
    """Execute one schedule, the list in a ScheduleFailure; returns its trace, or raises what the scenario raises."""
    policy, trace = _Systematic(0, schedule), []
    with _one_cpu(), _running_threads() as threads:
        _execute(threads, make_scenario, check, policy, memory, steps_max, trace)
    policy.expect_all_taken()
    return trace


@contextlib.contextmanager
def _running_threads():
    threads = _Threads()
    try:
        yield threads
    finally:
        threads.close()


def _execute(threads, make_scenario, check, policy, make_memory, steps_max, trace=None):
    memory = make_memory()
    actors = make_scenario(memory)
    memory.trace = trace
    try:
        check(_Execution(threads, memory, actors, policy, steps_max).run())
    finally:
        memory.trace = None


def _explained(threads, make_scenario, check, schedule, make_memory, steps_max, error):
    """The ScheduleFailure for `error`, with the trace of a second execution, which has to fail alike."""
    schedule, trace, again = list(schedule), [], error
    if not threads.stuck:
        again = None
        try:
            _execute(threads, make_scenario, check, _Systematic(0, schedule), make_memory, steps_max, trace)
        except Exception as second:
            again = second
    lines = ["%s: %s" % (type(error).__name__, error)]
    if type(again) is not type(error):
        lines.append("not deterministic: the same schedule, executed again, gave %r" % again)
    lines.append("replay with schedule = " + _written(schedule))
    shown = trace if len(trace) <= 120 else trace[:60] + [("...", "%d more" % (len(trace) - 120))] + trace[-60:]
    lines.extend("  actor %s  %s" % line for line in shown)
    return ScheduleFailure("\n".join(lines), schedule, trace)


def _written(schedule):
    """A schedule as a Python expression of bearable length.

    >>> _written([0, 0, 0, 1, 0])
    '[0] * 3 + [1] + [0]'
    """
    runs = []
    for actor, run in itertools.groupby(schedule):
        length = len(list(run))
        runs.append("[%d]" % actor if length == 1 else "[%d] * %d" % (actor, length))
    return " + ".join(runs) or "[]"
