"""Small functions that programs for redis-py import from redis.utils."""

import contextlib

from .responses.shapes import text as str_if_bytes

HIREDIS_AVAILABLE = False
SSL_AVAILABLE = True


def from_url(url, **kwargs):
    """A client for a URL."""
    from .client import Redis
    return Redis.from_url(url, **kwargs)


@contextlib.contextmanager
def pipeline(redis_obj):
    """A pipeline that is executed at the end of the `with`."""
    pipe = redis_obj.pipeline()
    yield pipe
    pipe.execute()


def safe_str(value):
    """A str of anything."""
    return str(str_if_bytes(value))
