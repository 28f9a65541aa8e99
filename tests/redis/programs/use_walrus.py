"""walrus: containers, models with queries, a graph, streams.

Its locks, rate limits, completion and queries for less and greater send scripts and are left out.
"""

import sys

from same import place, same
from walrus import (BooleanField, Database, DateField, IntegerField, ListField, Model, SetField, TextField)

database = Database(**place(sys.argv[1]))


class Note(Model):
    """A record with indexes."""

    __database__ = database
    __namespace__ = "notes"
    title = TextField(primary_key=True)
    body = TextField(fts=True)
    rank = IntegerField(index=True)
    draft = BooleanField(index=True, default=False)
    made = DateField(default=None)
    tags = SetField()
    lines = ListField()


def containers():
    """Each of the types as a Python object."""
    row = database.Hash("row")
    row.update(name="Ada", age="36")
    same((row["name"], len(row), "age" in row), (b"Ada", 2, True))
    del row["age"]
    same(dict(row), {b"name": b"Ada"})
    queue = database.List("queue")
    queue.extend(["a", "b", "c"])
    queue.prepend("0")
    same((list(queue), queue[1], queue[-1], len(queue)), ([b"0", b"a", b"b", b"c"], b"a", b"c", 4))
    same((queue.popleft(), queue.pop()), (b"0", b"c"))
    red, blue = database.Set("red"), database.Set("blue")
    red.add("x", "y")
    blue.add("y", "z")
    same(((red | blue), (red & blue), (red - blue)), ({b"x", b"y", b"z"}, {b"y"}, {b"x"}))
    board = database.ZSet("board")
    board.add({"ada": 10, "bob": 7.5})
    same(board.incr("bob", 5), 12.5)
    same((board.range(0, -1), board.score("bob"), board.rank("bob")), ([b"ada", b"bob"], 12.5, 1))
    same(board.range_by_score(11, 20), [b"bob"])
    counted = database.counter("visits")
    same((counted.incr(), counted.incr(4)), (1, 5))
    bits = database.bit_field("bits")
    same(bits.set("u8", 0, 200).get("u8", 0).execute(), [0, 200])


def models():
    """Records, found by what they are and what they say."""
    for number, title in enumerate(("one", "two", "three", "four")):
        note = Note.create(title=title, body="a story of whales, number%d" % number, rank=number, draft=number % 2 == 1)
        note.tags.add("all", title)
        note.lines.extend(["first", "second"])
    same(Note.load("three").rank, 2)
    same([note.title for note in Note.query(Note.rank == 2)], ["three"])
    drafts = Note.draft == True  # noqa: E712 - a condition of the query
    same(sorted(note.title for note in Note.query(drafts)), ["four", "two"])
    same([note.title for note in Note.query(drafts & (Note.rank == 1))], ["two"])
    same(sorted(note.title for note in Note.query((Note.rank == 0) | (Note.rank == 3))), ["four", "one"])
    same([note.title for note in Note.query(order_by=Note.rank.desc())], ["four", "three", "two", "one"])
    same([note.title for note in Note.query(Note.body.search("number2"))], ["three"])
    same(set(Note.load("one").tags), {b"all", b"one"})
    Note.load("one").delete()
    same((Note.count(), list(Note.query(Note.rank == 0))), (3, []))


def graphs():
    """A store of triples."""
    graph = database.graph("people")
    graph.store_many([("ada", "knows", "bob"), ("bob", "knows", "eve"), ("ada", "lives", "here")])
    same(sorted(str(row["o"]) for row in graph.query(s="ada")), ["bob", "here"])
    first, second = graph.v.first, graph.v.second
    same([str(name) for name in graph.search(("ada", "knows", first), (first, "knows", second))["second"]], ["eve"])


def streams():
    """A stream that a group reads."""
    group = database.consumer_group("workers", ["jobs"])
    group.create()
    group.set_id("$")
    names = [database.xadd("jobs", {"number": str(number)}) for number in range(3)]
    read = group.read(count=2)
    same([(bytes(name), [number for number, _ in found]) for name, found in read], [(b"jobs", names[:2])])
    same(group.jobs.ack(*names[:2]), 2)
    same([number for number, _ in group.jobs.read()], names[2:])
    same(len(group.jobs.pending()), 1)


for check in (containers, models, graphs, streams):
    check()
