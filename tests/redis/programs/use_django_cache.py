"""Django's own cache over Redis, and sessions in it."""

import sys
from datetime import date

import django
from django.conf import settings
from same import same, wait_for

settings.configure(
    CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": sys.argv[1],
                        "KEY_PREFIX": "site", "TIMEOUT": 300}},
    SESSION_ENGINE="django.contrib.sessions.backends.cache", SECRET_KEY="for a test")
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402 - needs the settings
from django.core.cache import cache  # noqa: E402


def values():
    """Set, get, add, and what is not there."""
    cache.set("page", {"title": "Über", "day": date(2024, 2, 29)})
    same(cache.get("page"), {"title": "Über", "day": date(2024, 2, 29)})
    same(cache.get("nothing"), None)
    same(cache.get("nothing", 7), 7)
    same(cache.add("page", 1), False)
    same(cache.add("other", 1), True)
    same(cache.has_key("other"), True)
    same(cache.delete("other"), True)
    same(cache.delete("other"), False)
    same(cache.get_or_set("made", lambda: [1, 2]), [1, 2])
    same(cache.get_or_set("made", lambda: [3]), [1, 2])


def numbers():
    """Counters, which are kept as numbers."""
    cache.set("hits", 10)
    same(cache.incr("hits"), 11)
    same(cache.decr("hits", 5), 6)
    same(cache.get("hits"), 6)
    try:
        cache.incr("nothing")
    except ValueError:
        return
    raise AssertionError("a key that is not there was counted")


def many():
    """Many at once, and versions of a key."""
    same(cache.set_many({"a": 1, "b": "two", "c": None}), [])
    same(cache.get_many(["a", "b", "c", "d"]), {"a": 1, "b": "two", "c": None})
    cache.delete_many(["a", "b"])
    same(cache.get_many(["a", "b"]), {})
    cache.set("v", "first", version=1)
    same(cache.incr_version("v"), 2)
    same((cache.get("v"), cache.get("v", version=2)), (None, "first"))


def times():
    """What expires, and what is touched in time."""
    cache.set("short", 1, timeout=1)
    cache.set("kept", 1, timeout=1)
    same(cache.touch("kept", 100), True)
    same(cache.touch("nothing"), False)
    cache.set("gone", 1, timeout=0)
    same(cache.get("gone"), None)
    wait_for(lambda: cache.get("short") is None)
    same(cache.get("kept"), 1)


def sessions():
    """A session of a user, found again by its key."""
    session = SessionStore()
    session["user"] = 7
    session.save()
    again = SessionStore(session_key=session.session_key)
    same(again["user"], 7)
    again.cycle_key()
    same((again["user"], again.exists(session.session_key)), (7, False))
    again.flush()


for check in (values, numbers, many, times, sessions):
    check()
cache.clear()
same(cache.get("page"), None)
