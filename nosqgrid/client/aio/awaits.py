"""Await forms of classes whose operations are steps.

A class of client/locks, queues or topics has for each operation that asks the coordinator a method `x` for those who
wait and a generator method `x_steps` that is its content.  A subclass that is decorated with `awaits` has coroutines
of the same names, with the same arguments and documentation, that await the same steps.
"""

import functools
import inspect

from ...errors import UsageError

_STEPS = "_steps"


def awaits(cls):
    """Give a class, for each of its pairs x and x_steps, a coroutine function x; unless it has one of its own."""
    for name in dir(cls):
        if name.endswith(_STEPS) and not name.startswith("_"):
            plain = name[:-len(_STEPS)]
            found = getattr(cls, plain, None)
            if isinstance(found, property) or inspect.isfunction(found) and not inspect.iscoroutinefunction(found):
                setattr(cls, plain, _coroutine(cls, plain, name, found))
    if hasattr(cls, "__enter__"):
        cls.__enter__ = _no_with
    if hasattr(cls, "__next__"):
        cls.__next__ = _no_for
        cls.__iter__ = _no_for
    return cls


def _coroutine(cls, plain, steps_name, found):
    async def method(self, *args, **options):
        return await self._store.run(getattr(self, steps_name)(*args, **options))

    functools.update_wrapper(method, found.fget if isinstance(found, property) else found)
    method.__qualname__ = "%s.%s" % (cls.__name__, plain)
    method.__module__ = cls.__module__
    return method


def _no_with(self):
    raise UsageError("%r is for asyncio: write `async with`" % (self,))


def _no_for(self):
    raise UsageError("%r is for asyncio: write `async for`" % (self,))


class AsyncWith(object):
    """`async with` for what is acquired and released."""

    async def __aenter__(self):
        await self.acquire()
        return self

    async def __aexit__(self, kind, value, trace):
        await self.release()
