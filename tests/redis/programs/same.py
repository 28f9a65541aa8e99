"""What the programs of this directory share: each is run with the address of a server, and checks what it gets.

A program ends with 0 when everything was as it has to be; what was not is the end of its standard error.
"""

import os
import time
from urllib.parse import urlsplit

TIMEOUT_S = 20.0


def same(actual, expected):
    """AssertionError, naming both, unless they are equal and of the same type."""
    if actual != expected or type(actual) is not type(expected):
        raise AssertionError("%r where %r was expected" % (actual, expected))


def wait_for(condition):
    """Poll until condition() is true and return it."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen within %g s" % TIMEOUT_S)
        time.sleep(0.01)


def place(url):
    """A redis:// or unix:// URL as the keywords of redis.Redis()."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return {"unix_socket_path": os.path.abspath(parts.path)}
    return {"host": parts.hostname, "port": parts.port}
