"""python3 -m tests.style.write_redis_page: put the tables of `nosqgrid commands --markdown` into docs/redis.md."""

import io
import os

from nosqgrid.cli import main
from tests.style.test_layers import ROOT

PAGE = os.path.join(ROOT, "docs", "redis.md")
BEGINNING = "<!-- commands: made by python3 -m tests.style.write_redis_page -->\n"
END = "<!-- end of commands -->\n"


def made():
    """What `nosqgrid commands --markdown` prints."""
    out = io.StringIO()
    if main.main(["commands", "--markdown"], out) != 0:
        raise RuntimeError("nosqgrid commands failed")
    return out.getvalue()


def parts_of(page):
    """The page up to the first marker, between the two, and from the second on; ValueError where one is missing."""
    if page.count(BEGINNING) != 1 or page.count(END) != 1:
        raise ValueError("the page has no two markers")
    before, rest = page.split(BEGINNING)
    between, after = rest.split(END)
    return before + BEGINNING, between, END + after


def read():
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    head, _, tail = parts_of(read())
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(head + made() + tail)
