"""Another user of the machine: refused, unless allowed by name; then he reads, and writes only if that was said too."""

import contextlib
import os
import shutil
import socket
import tempfile
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.client.link import Link
from tests.support.processes import ProcessTestCase

OTHER = 12345  # nobody's uid and gid

PROGRAM = """
import os, sys
import nosqgrid
address, other = sys.argv[1], int(sys.argv[2])
os.setgroups([])
os.setgid(other)
os.setuid(other)
try:
    grid = nosqgrid.attach(address)
    print("read", grid["a"], flush=True)
    grid["b"] = 2
    print("wrote", flush=True)
except nosqgrid.NosqgridError as error:
    print(type(error).__name__, flush=True)
"""


@unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0, "only root can become somebody else")
class OtherUserCase(ProcessTestCase):
    @contextlib.contextmanager
    def met(self, program, *options):
        """(grid, child): our grid with a coordinator of these options, and another user's program that meets it."""
        directory = tempfile.mkdtemp()
        os.chmod(directory, 0o755)
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        with launcher.start(os.path.join(directory, "s"), memory="4m", extra_args=options) as launched:
            with nosqgrid.attach(launched.address) as grid:
                grid["a"] = b"1"
                yield grid, self.spawn(program, launched.address, str(OTHER))


class OtherUserTests(OtherUserCase):
    def said_by_other(self, *options):
        """What another user gets from a coordinator with these options, line by line."""
        with self.met(PROGRAM, *options) as (grid, child):
            lines, line = [], child.read_line()
            while line.startswith("read"):
                lines.append(line)
                line = child.read_line()
            child.finish()
            return lines + [line], grid.get("b")

    def test_nobody_else_is_let_in(self):
        self.assertEqual(self.said_by_other(), (["PermissionRefusedError"], None))

    def test_another_one_is_not_meant(self):
        self.assertEqual(self.said_by_other("--allow-uid", str(OTHER + 1)), (["PermissionRefusedError"], None))

    def test_who_is_allowed_by_uid_reads_and_does_not_write(self):
        self.assertEqual(self.said_by_other("--allow-uid", str(OTHER)), (["read b'1'", "PermissionRefusedError"], None))

    def test_who_is_allowed_by_gid_reads_and_does_not_write(self):
        self.assertEqual(self.said_by_other("--allow-gid", str(OTHER)), (["read b'1'", "PermissionRefusedError"], None))

    def test_writing_has_to_be_allowed_as_well(self):
        self.assertEqual(self.said_by_other("--allow-uid", str(OTHER), "--allow-write"), (["read b'1'", "wrote"], 2))


class RefusalTests(ProcessTestCase):
    """A coordinator that refuses says why and closes, which may be before the client has asked anything."""

    def link_to(self, parting_word):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(self.path("s", keep=True))
            listener.listen(1)
            link = Link(self.path("s"), 5.0)
            self.addCleanup(link.close)
            with listener.accept()[0] as accepted:
                accepted.send(parting_word)
        return link

    def test_the_reason_arrives_though_the_question_cannot_be_sent_any_more(self):
        link = self.link_to(b"-NOPERM not you\r\n")
        with self.assertRaisesRegex(nosqgrid.PermissionRefusedError, "not you"):
            link.command(b"PING")

    def test_without_a_reason_the_coordinator_is_lost(self):
        self.assertRaises(nosqgrid.CoordinatorLostError, self.link_to(b"").command, b"PING")

    def test_an_answer_that_nobody_asked_for_is_no_reason(self):
        self.assertRaises(nosqgrid.CoordinatorLostError, self.link_to(b"+PONG\r\n").command, b"PING")


if __name__ == "__main__":
    unittest.main()
