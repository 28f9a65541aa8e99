"""Flask-Caching: views and functions whose results are kept."""

import sys

from flask import Flask, request
from flask_caching import Cache
from same import same, wait_for

app = Flask("app")
app.config.update(CACHE_TYPE="RedisCache", CACHE_REDIS_URL=sys.argv[1], CACHE_DEFAULT_TIMEOUT=300,
                  CACHE_KEY_PREFIX="flask:")
cache = Cache(app)
calls = []


@app.route("/page")
@cache.cached(timeout=300, query_string=True)
def page():
    """A page that says how many were made."""
    calls.append("page")
    return "%s %d" % (request.args.get("q"), len(calls))


@app.route("/short")
@cache.cached(timeout=1)
def short():
    """A page that is kept for a second."""
    calls.append("short")
    return str(len(calls))


@cache.memoize()
def double(number):
    """A function that is remembered by its argument."""
    calls.append(number)
    return 2 * number


with app.test_client() as client:
    same([client.get("/page?q=a").text for _ in range(3)], ["a 1"] * 3)
    same(client.get("/page?q=b").text, "b 2")
    first = client.get("/short").text
    same(first, "3")
    wait_for(lambda: client.get("/short").text != first)
with app.app_context():
    del calls[:]
    same([double(1), double(2), double(1)], [2, 4, 2])
    same(calls, [1, 2])
    cache.delete_memoized(double, 1)
    same([double(1), double(2)], [2, 4])
    same(calls, [1, 2, 1])
    cache.delete_memoized(double)
    same([double(2), calls], [4, [1, 2, 1, 2]])
    same(cache.set_many({"a": 1, "b": 2}) is not None, True)
    same(cache.get_many("a", "b", "c"), [1, 2, None])
    same(cache.add("a", 5), False)
    same(bool(cache.clear()), True)
    same(cache.get("a"), None)
