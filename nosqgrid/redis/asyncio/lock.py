"""A lock that processes on several machines can share, for asyncio."""

import asyncio

from ..exceptions import LockError, LockNotOwnedError, ResponseError
from ..locking import EXTEND, REACQUIRE, RELEASE, BaseLock, without_scripts


class Lock(BaseLock):
    """See locking.BaseLock for the arguments.

        async with client.lock("report", timeout=30):
            ...
    """

    async def __aenter__(self):
        if await self.acquire():
            return self
        raise LockError("Unable to acquire lock within the time specified", lock_name=self.name)

    async def __aexit__(self, kind, value, traceback):
        await self.release()

    async def acquire(self, sleep=None, blocking=None, blocking_timeout=None, token=None):
        """Acquire it; whether it did.  What is left out is as the lock was made with."""
        sleep = self.sleep if sleep is None else sleep
        blocking = self.blocking if blocking is None else blocking
        blocking_timeout = self.blocking_timeout if blocking_timeout is None else blocking_timeout
        token = self._new_token(token)
        loop = asyncio.get_event_loop()
        deadline = None if blocking_timeout is None else loop.time() + blocking_timeout
        while True:
            if await self.do_acquire(token):
                self.local.token = token
                return True
            if not blocking or deadline is not None and loop.time() + sleep > deadline:
                return False
            await asyncio.sleep(sleep)

    async def do_acquire(self, token):
        """One attempt."""
        return bool(await self.redis.set(self.name, token, nx=True, px=self._expiry()))

    async def locked(self):
        """Whether anybody holds it."""
        return await self.redis.get(self.name) is not None

    async def owned(self):
        """Whether this lock object holds it."""
        return self._same(await self.redis.get(self.name), self.local.token)

    def release(self):
        """Release it; to be awaited.  Raises LockError where it was not acquired, LockNotOwnedError where it is not
        held any more."""
        token = self.local.token
        if token is None:
            raise LockError("Cannot release an unlocked lock", lock_name=self.name)
        self.local.token = None
        return self.do_release(token)

    async def do_release(self, expected_token):
        """Release it if it has this token."""
        if not await self._run(RELEASE, [expected_token], lambda pipe, left: pipe.delete(self.name)):
            raise LockNotOwnedError("Cannot release a lock that's no longer owned", lock_name=self.name)

    def extend(self, additional_time, replace_ttl=False):
        """Hold it for so many seconds longer; with replace_ttl: from now on.  To be awaited; raises as release()."""
        self._check_extendable()
        return self.do_extend(additional_time, replace_ttl)

    async def do_extend(self, additional_time, replace_ttl):
        """extend(), without looking first."""
        more = int(additional_time * 1000)

        def change(pipe, left):
            if left < 0:
                return False
            pipe.pexpire(self.name, more if replace_ttl else more + left)
            return True

        if not await self._run(EXTEND, [self.local.token, more, "1" if replace_ttl else "0"], change):
            raise LockNotOwnedError("Cannot extend a lock that's no longer owned", lock_name=self.name)
        return True

    def reacquire(self):
        """Hold it for its timeout from now on.  To be awaited; raises as release()."""
        self._check_reacquirable()
        return self.do_reacquire()

    async def do_reacquire(self):
        """reacquire(), without looking first."""
        timeout = int(self.timeout * 1000)
        if not await self._run(REACQUIRE, [self.local.token, timeout],
                               lambda pipe, left: pipe.pexpire(self.name, timeout)):
            raise LockNotOwnedError("Cannot reacquire a lock that's no longer owned", lock_name=self.name)
        return True

    async def _run(self, source, args, change):
        pool = self.redis.connection_pool
        if not getattr(pool, "without_scripts", False):
            try:
                return bool(await self._script(source)(keys=[self.name], args=args))
            except ResponseError as error:
                pool.without_scripts = without_scripts(error)

        async def attempt(pipe):
            left = await pipe.pttl(self.name)
            if not self._same(await pipe.get(self.name), args[0]):
                pipe.multi()
                return False
            pipe.multi()
            return change(pipe, left) is not False

        return await self.redis.transaction(attempt, self.name, value_from_callable=True)
