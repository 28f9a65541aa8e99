"""A lock that processes on several machines can share: Redis.lock()."""

import threading
import time

from .exceptions import LockError, LockNotOwnedError, ResponseError
from .locking import EXTEND, REACQUIRE, RELEASE, BaseLock, without_scripts


class _Local(object):
    token = None


class _ThreadLocal(threading.local):
    token = None


class Lock(BaseLock):
    """See locking.BaseLock for the arguments.

        with client.lock("report", timeout=30):
            ...
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.local = _ThreadLocal() if self.thread_local else _Local()

    def __enter__(self):
        if self.acquire():
            return self
        raise LockError("Unable to acquire lock within the time specified", lock_name=self.name)

    def __exit__(self, kind, value, traceback):
        self.release()

    def acquire(self, sleep=None, blocking=None, blocking_timeout=None, token=None):
        """Acquire it; whether it did.  What is left out is as the lock was made with."""
        sleep = self.sleep if sleep is None else sleep
        blocking = self.blocking if blocking is None else blocking
        blocking_timeout = self.blocking_timeout if blocking_timeout is None else blocking_timeout
        token = self._new_token(token)
        deadline = None if blocking_timeout is None else time.monotonic() + blocking_timeout
        while True:
            if self.do_acquire(token):
                self.local.token = token
                return True
            if not blocking or deadline is not None and time.monotonic() + sleep > deadline:
                return False
            time.sleep(sleep)

    def do_acquire(self, token):
        """One attempt."""
        return bool(self.redis.set(self.name, token, nx=True, px=self._expiry()))

    def locked(self):
        """Whether anybody holds it."""
        return self.redis.get(self.name) is not None

    def owned(self):
        """Whether this lock object, in this thread, holds it."""
        return self._same(self.redis.get(self.name), self.local.token)

    def release(self):
        """Release it.  Raises LockError where it was not acquired, LockNotOwnedError where it is not held any more."""
        token = self.local.token
        if token is None:
            raise LockError("Cannot release an unlocked lock", lock_name=self.name)
        self.local.token = None
        self.do_release(token)

    def do_release(self, expected_token):
        """Release it if it has this token."""
        if not self._run(RELEASE, [expected_token], lambda pipe, left: pipe.delete(self.name)):
            raise LockNotOwnedError("Cannot release a lock that's no longer owned", lock_name=self.name)

    def extend(self, additional_time, replace_ttl=False):
        """Hold it for so many seconds longer; with replace_ttl: from now on.  Raises as release()."""
        self._check_extendable()
        return self.do_extend(additional_time, replace_ttl)

    def do_extend(self, additional_time, replace_ttl):
        """extend(), without looking first."""
        more = int(additional_time * 1000)

        def change(pipe, left):
            if left < 0:
                return False
            pipe.pexpire(self.name, more if replace_ttl else more + left)
            return True

        if not self._run(EXTEND, [self.local.token, more, "1" if replace_ttl else "0"], change):
            raise LockNotOwnedError("Cannot extend a lock that's no longer owned", lock_name=self.name)
        return True

    def reacquire(self):
        """Hold it for its timeout from now on.  Raises as release()."""
        self._check_reacquirable()
        return self.do_reacquire()

    def do_reacquire(self):
        """reacquire(), without looking first."""
        timeout = int(self.timeout * 1000)
        if not self._run(REACQUIRE, [self.local.token, timeout],
                         lambda pipe, left: pipe.pexpire(self.name, timeout)):
            raise LockNotOwnedError("Cannot reacquire a lock that's no longer owned", lock_name=self.name)
        return True

    def _run(self, source, args, change):
        """Run a script; where the server has none, change(pipe, ms left) in a transaction.  Whether it did."""
        pool = self.redis.connection_pool
        if not getattr(pool, "without_scripts", False):
            try:
                return bool(self._script(source)(keys=[self.name], args=args))
            except ResponseError as error:
                pool.without_scripts = without_scripts(error)

        def attempt(pipe):
            left = pipe.pttl(self.name)
            if not self._same(pipe.get(self.name), args[0]):
                pipe.multi()
                return False
            pipe.multi()
            return change(pipe, left) is not False

        return self.redis.transaction(attempt, self.name, value_from_callable=True)
