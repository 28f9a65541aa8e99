"""What sync and asyncio locks have in common.

A lock is a key with a token that nobody else has.  Who releases or extends it makes sure that the token is still its
own, and acts on that, in one step: by a script, or where the server runs none by WATCH and MULTI.
"""

import uuid

from .exceptions import LockError, ResponseError
from .responses.shapes import text

RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    redis.call('del', KEYS[1])
    return 1
end
return 0
"""
EXTEND = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then
    return 0
end
local left = redis.call('pttl', KEYS[1])
if left < 0 then
    return 0
end
local ttl = tonumber(ARGV[2])
if ARGV[3] == '0' then
    ttl = ttl + left
end
redis.call('pexpire', KEYS[1], ttl)
return 1
"""
REACQUIRE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('pexpire', KEYS[1], ARGV[2])
return 1
"""


class BaseLock(object):
    """The settings of a lock.

    Args:
        redis: the client.
        name: the key.
        timeout: seconds after which it is free again, whatever its holder does; None: never.
        sleep: seconds between attempts.
        blocking, blocking_timeout: whether acquire() waits, and for how many seconds.
        thread_local: whether the token belongs to the thread that acquired it.
    """

    def __init__(self, redis, name, timeout=None, sleep=0.1, blocking=True, blocking_timeout=None, thread_local=True):
        self.redis = redis
        self.name = name
        self.timeout = timeout
        self.sleep = sleep
        self.blocking = blocking
        self.blocking_timeout = blocking_timeout
        self.thread_local = bool(thread_local)
        self._scripts = {}

    def _script(self, source):
        script = self._scripts.get(source)
        if script is None:
            script = self._scripts[source] = self.redis.register_script(source)
        return script

    def _new_token(self, token):
        return uuid.uuid1().hex.encode() if token is None else self.redis.get_encoder().encode(token)

    def _expiry(self):
        """Milliseconds for SET ... PX, or None."""
        return int(self.timeout * 1000) if self.timeout else None

    def _same(self, stored, token):
        if stored is None or token is None:
            return False
        return (stored if isinstance(stored, bytes) else self.redis.get_encoder().encode(stored)) == token

    def _check_extendable(self):
        if self.local.token is None:
            raise LockError("Cannot extend an unlocked lock", lock_name=self.name)
        if self.timeout is None:
            raise LockError("Cannot extend a lock with no timeout", lock_name=self.name)

    def _check_reacquirable(self):
        if self.local.token is None:
            raise LockError("Cannot reacquire an unlocked lock", lock_name=self.name)
        if self.timeout is None:
            raise LockError("Cannot reacquire a lock with no timeout", lock_name=self.name)


def without_scripts(error):
    """Whether an error says that the server knows no scripts; any other is raised."""
    message = text(str(error)).lower()
    if isinstance(error, ResponseError) and message.startswith("unknown command") and "eval" in message:
        return True
    raise error
