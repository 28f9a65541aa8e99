"""The process that makes a checkpoint, without a process: what it says and what it keeps open."""

import os
import shutil
import tempfile
import types
import unittest

from nosqgrid.storage import checkpointer, recovery, wal
from nosqgrid.storage.checkpoint import checkpoint_name
from nosqgrid.storage.files import Files
from tests.support.keyspaces import make_keyspace

LINEAGE = 7


def open_paths():
    """What the descriptors of this process lead to."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink("/proc/self/fd/" + name))
        except FileNotFoundError:
            continue  # the one that listed them
    return found


class Coordinator:
    """The other side of the conversation; `at_end()` is called when the checkpoint is there and it is waited for."""

    def __init__(self, asked, position, at_end):
        self.answers = [asked, position]
        self.heard = []
        self._at_end = at_end

    def receive(self):
        answer = self.answers.pop(0)
        if answer is None:
            raise EOFError("the coordinator is gone")
        return answer() if callable(answer) else answer

    def send(self, message):
        self.heard.append(message)

    def wait_for_end(self):
        self._at_end()


class CheckpointerTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.keyspace, header = make_keyspace(1 << 20)
        self.arena = types.SimpleNamespace(words=self.keyspace.words, map=self.keyspace.arena, header=header)
        self.log = wal.Wal(Files(), self.directory, LINEAGE, "os", 1, 1)
        self.addCleanup(self.log.close)
        self.keyspace.set_log(self.log)
        for number in range(300):
            self.keyspace.store(b"k%d" % number, 0, b"%d" % number)

    def asked(self, final=None):
        self.log.rotate()
        self.since = self.log.position()
        return {"directory": self.directory, "final": final, "lineage": LINEAGE, "start_lsn": self.keyspace.version}

    def position(self):
        self.keyspace.store(b"meanwhile", 0, b"1")
        self.keyspace.delete(b"k5")
        return {"lsn": self.keyspace.version, "pieces": self.log.pieces(self.since), "keys": self.keyspace.key_count}

    def path(self, name):
        return os.path.join(self.directory, name)

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "there is no /proc here to see open files in")
    def test_it_keeps_open_what_it_replaces_until_that_has_been_removed(self):
        with open(self.path(checkpoint_name(100)), "wb"):
            pass
        replaced = [self.path(name) for name in ("wal-00000001", "wal-00000002", checkpoint_name(100))]
        held = []

        def at_end():
            held.append(open_paths())
            for path in replaced[:1] + replaced[2:]:
                os.unlink(path)
            held.append(open_paths())

        coordinator = Coordinator(self.asked(), self.position, at_end)
        self.assertEqual(checkpointer.run(self.arena, coordinator), 0)
        self.assertLessEqual(set(replaced), held[0])
        self.assertLessEqual({replaced[0] + " (deleted)", replaced[2] + " (deleted)"}, held[1])
        self.assertFalse({path for path in open_paths() if path.endswith("(deleted)") and self.directory in path})
        self.assertEqual(coordinator.heard[-1]["path"], self.path(checkpoint_name(302)))

    def test_it_says_how_far_it_is_and_what_it_made(self):
        coordinator = Coordinator(self.asked(), self.position, lambda: None)
        self.assertEqual(checkpointer.run(self.arena, coordinator), 0)
        walked = coordinator.heard.index({"walked": True})
        self.assertEqual(coordinator.heard[walked - 1]["keys"], 300)
        made = coordinator.heard[-1]
        self.assertEqual((made["lsn"], made["keys"], made["bytes"]), (302, 300, os.path.getsize(made["path"])))
        state = recovery.PlainState()
        report = recovery.load(Files(), self.directory, state, 0)
        self.assertEqual((report.lsn, report.checkpoint, report.entries), (302, made["path"], 0))
        expected = {b"k%d" % number: b"%d" % number for number in range(300) if number != 5}
        expected[b"meanwhile"] = b"1"
        self.assertEqual({key: entry[1] for key, entry in state.entries.items()}, expected)

    def test_a_directory_that_is_gone_is_said_and_nothing_is_left(self):
        asked = dict(self.asked(), directory=self.path("gone"))
        coordinator = Coordinator(asked, self.position, self.fail)
        self.assertEqual(checkpointer.run(self.arena, coordinator), 1)
        self.assertEqual(coordinator.heard[-1]["code"], "DISK")
        self.assertIn(self.path("gone"), coordinator.heard[-1]["error"])

    def test_without_a_coordinator_it_leaves_no_file(self):
        coordinator = Coordinator(self.asked(), None, self.fail)
        with self.assertRaises(EOFError):
            checkpointer.run(self.arena, coordinator)
        self.assertEqual(sorted(os.listdir(self.directory)), ["wal-00000001", "wal-00000002"])


if __name__ == "__main__":
    unittest.main()
