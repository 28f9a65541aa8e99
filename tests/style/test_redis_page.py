"""docs/redis.md and `nosqgrid commands` tell the truth about the command table, and about each other."""

import io
import unittest

from nosqgrid.cli import commands, main
from nosqgrid.cli.redis_names import GROUPS
from nosqgrid.cli.redis_notes import ABSENT, NOTES
from nosqgrid.engine.commands import TABLE

from . import write_redis_page

KNOWN = {name: subcommands for names in GROUPS.values() for name, subcommands in names.items()}
ALL = set(KNOWN) | {"%s|%s" % (name, sub_name) for name, subcommands in KNOWN.items() for sub_name in subcommands}


def is_there(name):
    return commands.row_of(name).status != commands.NO


def without(*names):
    """The command table without some commands and subcommands."""
    table = dict(TABLE)
    for name in names:
        first, _, second = name.encode("ascii").partition(b"|")
        if second:
            left = {key: row for key, row in table[first].subcommands.items() if key != second}
            table[first] = table[first]._replace(subcommands=left)
        else:
            del table[first]
    return table


class PageTests(unittest.TestCase):
    maxDiff = None

    def test_the_tables_of_the_page_are_those_that_the_command_prints(self):
        between = write_redis_page.parts_of(write_redis_page.read())[1]
        self.assertEqual(between, write_redis_page.made(), "run: python3 -m tests.style.write_redis_page")

    def test_a_page_without_markers_is_refused(self):
        for page in ("", write_redis_page.BEGINNING, write_redis_page.END, 2 * write_redis_page.read()):
            with self.assertRaises(ValueError):
                write_redis_page.parts_of(page)


class NotesTests(unittest.TestCase):
    def test_all_names_are_those_of_a_release(self):
        self.assertEqual(len(KNOWN), 240)
        self.assertEqual(len(ALL) - len(KNOWN), 126)
        self.assertEqual(sum(len(names) for names in GROUPS.values()), 240)

    def test_what_differs_is_there(self):
        self.assertEqual([name for name in NOTES if name not in ALL or not is_there(name)], [])

    def test_what_is_said_to_be_absent_is_absent(self):
        self.assertEqual([name for name in ABSENT if name not in ALL or is_there(name)], [])

    def test_notes_are_a_line_that_fits_into_a_table(self):
        wrong = [name for notes in (NOTES, ABSENT) for name, note in notes.items()
                 if not note or "\n" in note or "|" in note or note.endswith(".")]
        self.assertEqual(wrong, [])


class StatusTests(unittest.TestCase):
    def test_a_command_of_the_table_without_a_note_is_as_in_redis(self):
        self.assertEqual(commands.row_of("GET"), ("GET", "yes", ""))
        self.assertEqual(commands.row_of("XGROUP", KNOWN["XGROUP"]), ("XGROUP", "yes", ""))

    def test_one_that_is_missing_says_so_by_itself(self):
        self.assertEqual(commands.row_of("GET", table=without("GET")), ("GET", "no", commands.UNEXPLAINED))
        self.assertEqual(commands.row_of("PSYNC", table=without()), ("PSYNC", "no", ABSENT["PSYNC"]))

    def test_missing_subcommands_are_named_beside_the_notes(self):
        row = commands.row_of("XINFO", KNOWN["XINFO"], without("XINFO|GROUPS", "XINFO|HELP"))
        self.assertEqual(row, ("XINFO", "part", "without GROUPS, HELP (it is not there yet); STREAM: "
                               + NOTES["XINFO|STREAM"]))
        self.assertEqual(commands.row_of("XINFO|GROUPS", table=without("XINFO|GROUPS")).status, "no")

    def test_a_note_makes_a_difference(self):
        self.assertEqual(commands.row_of("TIME"), ("TIME", "differs", NOTES["TIME"]))
        self.assertEqual(commands.row_of("XINFO", KNOWN["XINFO"]).status, "differs")

    def test_every_command_is_counted_once(self):
        groups = commands.rows_of_groups()
        self.assertEqual(sorted(row.name for rows in groups.values() for row in rows), sorted(KNOWN))
        self.assertRegex(commands.counts_of(groups), r"\A240 commands: \d+ yes, \d+ differs, \d+ part, \d+ no\Z")
        self.assertIn("239 ", commands.markdown_of({"all but one": [row for rows in groups.values() for row in rows
                                                                    if row.name != "GET"]}))


class ShellTests(unittest.TestCase):
    def shell(self, *words):
        out = io.StringIO()
        return main.main(["commands"] + list(words), out), out.getvalue()

    def test_all_of_them_are_listed_a_line_each(self):
        status, text = self.shell()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.assertEqual((status, len(lines)), (0, 241))
        self.assertEqual({line.split()[1] for line in lines[:-1]} - set(commands.STATUSES), set())

    def test_some_by_name(self):
        status, text = self.shell("get", "Time", "object|freq")
        self.assertEqual((status, [line.split()[:2] for line in text.splitlines()]),
                         (0, [["GET", "yes"], ["TIME", "differs"], ["OBJECT|FREQ", "differs"]]))

    def test_a_name_that_redis_does_not_have_is_told(self):
        for name in ("FOO", "XINFO|FOO", "FOO|HELP", "GET|"):
            status, text = self.shell("get", name)
            self.assertEqual((status, "is no command" in text), (1, True), name)
            self.assertIn("yes", text)


if __name__ == "__main__":
    unittest.main()
