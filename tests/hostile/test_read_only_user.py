"""What another user who may only read gets from a real coordinator: the arena read-only for ever, and no lane."""

import os
import unittest

from tests.hostile.test_other_users import OTHER, OtherUserCase

PROGRAM = """
import mmap, os, sys
from nosqgrid.client.link import Link
from nosqgrid.formats.arena import FORMAT_VERSION
address, other = sys.argv[1], int(sys.argv[2])
os.setgroups([])
os.setgid(other)
os.setuid(other)
link = Link(address, 5.0)
link.command(b"NOSQGRID.ATTACH", FORMAT_VERSION)
print(len(link.fds), flush=True)
arena = link.fds[0]
size = os.fstat(arena).st_size

def attempt(name, function, *arguments):
    try:
        function(*arguments)
        print(name, "worked", flush=True)
    except (OSError, ValueError) as error:
        print(name, "refused", flush=True)

attempt("map for reading", lambda: mmap.mmap(arena, size, mmap.MAP_SHARED, mmap.PROT_READ).close())
attempt("map for writing", lambda: mmap.mmap(arena, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close())
attempt("write", os.pwrite, arena, b"x", 4096)
attempt("shrink", os.ftruncate, arena, 4096)
attempt("grow", os.ftruncate, arena, size + 4096)
attempt("open again", lambda: os.close(os.open("/proc/self/fd/%d" % arena, os.O_RDWR)))
attempt("change its mode", os.fchmod, arena, 0o666)
for command in ((b"SET", b"a", b"2"), (b"DEL", b"a"), (b"FLUSHALL",), (b"NOSQGRID.SET", b"a", b"2", 0, 0, b"-", 0)):
    try:
        link.command(*command)
        print(command[0].decode(), "worked", flush=True)
    except PermissionError:
        print(command[0].decode(), "refused", flush=True)
print(link.command(b"GET", b"a"), flush=True)
link.close()
"""


@unittest.skipUnless(os.path.isdir("/proc/self/fd"), "needs /proc")
class ReadOnlyUserTest(OtherUserCase):
    def told(self, *options):
        """What the program prints under a coordinator with these options, and what the grid holds afterwards."""
        with self.met(PROGRAM, *options) as (grid, child):
            lines = [child.read_line() for _ in range(13)]
            child.finish()
            grid["b"] = b"served"
            return lines, grid.get("a")

    def test_who_may_read_can_do_nothing_else(self):
        lines, left = self.told("--allow-uid", str(OTHER))
        self.assertEqual(lines[0], "1")  # one descriptor: no lane
        self.assertEqual(lines[1], "map for reading worked")
        self.assertEqual(lines[-1], "b'1'")
        self.assertEqual([line for line in lines[2:-1] if not line.endswith(" refused")], [])
        self.assertEqual(left, b"1")

    def test_who_may_write_writes_by_commands_and_not_into_the_arena(self):
        lines, _ = self.told("--allow-uid", str(OTHER), "--allow-write")
        self.assertEqual(lines[0], "2")
        self.assertEqual([line for line in lines[2:8] if not line.endswith(" refused")], [])
        self.assertEqual([line for line in lines[8:-1] if not line.endswith(" worked")], [])


if __name__ == "__main__":
    unittest.main()
