"""Signed pickles: what comes back, what is never loaded, and the file of the key."""

import array
import contextlib
import datetime
import functools
import hmac
import os
import pickle
import random
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

from nosqgrid import errors
from nosqgrid.client import pickled
from tests.support.tiers import slow

try:
    import numpy
except ImportError:
    numpy = None
try:
    import pandas
except ImportError:
    pandas = None

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECRET, OTHER_SECRET = bytes(range(32)), bytes(range(1, 33))
HAS_BUFFERS = hasattr(pickle, "PickleBuffer")
ran = []


def canary(word="unpickled"):
    ran.append(word)
    return word


class Canary:
    """Unpickling it is seen."""

    def __reduce__(self):
        return canary, ()


class Unlucky:
    """Can be pickled, but not loaded."""

    def __reduce__(self):
        return functools.partial(int, "no number"), ()


class Memory:
    """Leaves its bytes outside of a pickle of protocol 5, as a numpy array does."""

    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, protocol):
        return Memory, (pickle.PickleBuffer(self.data) if protocol >= 5 else bytes(self.data),)


def dumped(value, raw_key=b"k", secret=SECRET):
    return b"".join(pickled.dumps(value, raw_key, secret))


class RoundTripTests(unittest.TestCase):
    def test_what_values_refuse_is_carried(self):
        shared = [1]
        for value in (1j, {"a": {1, (2,)}}, datetime.datetime(2020, 1, 1), array.array("d", (1, 2)), Memory, len,
                      range(5), bytearray(b"x"), None, collections_of(), [shared, shared]):
            for payload in (dumped(value), memoryview(dumped(value)), memoryview(bytearray(dumped(value)))):
                found = pickled.loads(payload, b"k", SECRET)
                self.assertEqual((type(found), found), (type(value), value))
        self.assertIs(*pickled.loads(dumped([shared, shared]), b"k", SECRET))

    @unittest.skipUnless(HAS_BUFFERS, "pickle protocol 5 begins with Python 3.8")
    def test_buffers_are_not_copied_and_come_back_read_only(self):
        data = bytearray(os.urandom(5000))
        parts = pickled.dumps([Memory(data), Memory(b""), Memory(b"abc")], b"k", SECRET)
        self.assertIs([part for part in parts if type(part) is memoryview][0].obj, data)
        payload = b"".join(parts)
        found = pickled.loads(payload, b"k", SECRET)
        self.assertEqual([bytes(memory.data) for memory in found], [bytes(data), b"", b"abc"])
        for memory in found:
            self.assertTrue(memory.data.readonly)
            self.assertTrue(pickled.loads(memoryview(bytearray(payload)), b"k", SECRET)[0].data.readonly)
            self.assertIs(memory.data.obj, payload)
        offsets = [payload.index(bytes(memory.data)) for memory in (found[0], found[2])]
        self.assertEqual([offset % 64 for offset in offsets], [0, 0])
        self.assertEqual(payload[1], 5)
        with self.assertRaisesRegex(errors.UnsupportedTypeError, "contiguous"):
            pickled.dumps(Memory(memoryview(data)[::2]), b"k", SECRET)

    def test_a_python_without_protocol_5_writes_what_all_can_read(self):
        with mock.patch.object(pickled, "_HAS_BUFFERS", False):
            payload = dumped([Memory(b"abc"), 1j])
            self.assertEqual(payload[1], 4)
            self.assertEqual(pickled.loads(payload, b"k", SECRET)[0].data, b"abc")
        self.assertEqual(pickled.loads(payload, b"k", SECRET)[0].data, b"abc")

    def test_a_python_without_protocol_5_names_what_it_cannot_read(self):
        head = struct.pack("<BBHIQ", 1, 5, 0, 0, 2)
        payload = head + pickled._mac(SECRET, b"k", head, b"", b"N.") + bytes(16) + b"N."
        with mock.patch.object(pickled, "_HAS_BUFFERS", False):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, "Python 3.8 or newer"):
                pickled.loads(payload, b"k", SECRET)
        if HAS_BUFFERS:
            self.assertIsNone(pickled.loads(payload, b"k", SECRET))

    def test_what_pickle_cannot_carry_is_named(self):
        for value in (lambda: 1, threading.Lock(), type("Local", (), {})(), (item for item in ())):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, "cannot pickle a value of type"):
                pickled.dumps(value, b"k", SECRET)

    def test_what_cannot_be_made_here_is_named(self):
        with self.assertRaisesRegex(errors.UnsupportedTypeError, "cannot be loaded here: ValueError: invalid literal"):
            pickled.loads(dumped(Unlucky()), b"k", SECRET)
        payload = dumped(Canary())
        with mock.patch.object(sys.modules[__name__], "canary", None):
            delattr(sys.modules[__name__], "canary")
            with self.assertRaisesRegex(errors.UnsupportedTypeError, "cannot be loaded here: AttributeError"):
                pickled.loads(payload, b"k", SECRET)
            setattr(sys.modules[__name__], "canary", None)


def collections_of():
    import collections
    return collections.OrderedDict(a=1), collections.Counter("aab")


class RefusalTests(unittest.TestCase):
    def setUp(self):
        del ran[:]
        self.payload = dumped([Canary(), "x" * 10], b"user:1")

    def tearDown(self):
        self.assertEqual(ran, [])

    def refused(self, payload, raw_key=b"user:1", secret=SECRET):
        for given in (payload, memoryview(payload)):
            with self.assertRaises(errors.CorruptValueError) as caught:
                pickled.loads(given, raw_key, secret)
        return str(caught.exception)

    def test_the_canary_sings(self):
        self.assertEqual(pickled.loads(self.payload, b"user:1", SECRET)[0], "unpickled")
        self.assertEqual(ran, ["unpickled"])
        del ran[:]

    def test_other_keys_and_other_names(self):
        self.assertIn("another key file", self.refused(self.payload, secret=OTHER_SECRET))
        for raw_key in (b"user:2", b"", b"user:1\0", b"user:", b"USER:1"):
            self.assertIn("signature of a stored pickle does not hold", self.refused(self.payload, raw_key))

    def test_every_truncation_and_addition(self):
        for length in range(len(self.payload)):
            self.refused(self.payload[:length])
        self.refused(self.payload + b"\0")
        self.refused(self.payload + bytes(64))

    def test_every_changed_bit_that_is_used(self):
        stream_start = 64  # 16 of head, 32 of signature, no table, zeros that nobody reads
        for position in list(range(48)) + list(range(stream_start, len(self.payload))):
            for bit in range(8):
                changed = bytearray(self.payload)
                changed[position] ^= 1 << bit
                self.refused(bytes(changed))

    def test_an_unsigned_pickle_and_a_head_without_one(self):
        stream = pickle.dumps(Canary(), 4)
        for payload in (b"", stream, bytes(48) + stream,
                        struct.pack("<BBHIQ", 1, 4, 0, 0, len(stream)) + bytes(48) + stream,
                        struct.pack("<BBHIQ", 1, 5, 0, 2 ** 32 - 1, 2 ** 64 - 1) + bytes(500)):
            self.refused(payload)

    def test_what_is_changed_after_it_was_verified_is_not_loaded(self):
        evil = pickle.dumps(Canary(), 4)
        payload = bytearray(dumped("x" * len(evil), b"user:1"))
        compare = hmac.compare_digest

        def change(first, second):
            payload[64:64 + len(evil)] = evil
            return compare(first, second)

        with mock.patch.object(hmac, "compare_digest", change):
            self.assertEqual(pickled.loads(payload, b"user:1", SECRET), "x" * len(evil))
        self.assertEqual(payload[64:64 + len(evil)], evil)

    def test_pieces_of_two_signed_values_do_not_make_a_third(self):
        other = dumped(["x" * 10, 5], b"user:1")
        for end in (16, 48, 64, 80):
            self.refused(self.payload[:end] + other[end:])
            self.refused(other[:end] + self.payload[end:])

    def test_random_changes(self):
        rng = random.Random(1)
        for _ in range(2000):
            changed = bytearray(self.payload)
            for _ in range(rng.randrange(1, 4)):
                position = rng.randrange(len(changed))
                inserted = struct.pack("<I", rng.getrandbits(32))[:rng.randrange(5)]
                changed[position:position + rng.randrange(5)] = inserted
            if changed[:48] + changed[64:] != self.payload[:48] + self.payload[64:]:
                self.refused(bytes(changed))

    @unittest.skipUnless(HAS_BUFFERS, "pickle protocol 5 begins with Python 3.8")
    def test_buffers_of_other_lengths(self):
        payload = dumped([Canary(), Memory(b"a" * 100), Memory(b"b" * 90)], b"user:1")
        for changed in (payload[:-1], payload[:-90], payload + b"x", payload[:48] + payload[56:64] + payload[48:56]
                        + payload[64:], payload[:48] + struct.pack("<2Q", 101, 90) + payload[64:],
                        payload[:48] + struct.pack("<2Q", 2 ** 64 - 1, 91) + payload[64:]):
            self.refused(changed)


class KeyFileTests(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "nosqgrid", "pickle.key")

    def refused(self, words, path=None):
        with self.assertRaisesRegex(errors.UsageError, words):
            pickled.load_key(self.path if path is None else path)

    def test_it_is_made_once_for_its_user_alone(self):
        key = pickled.load_key(self.path)
        self.assertEqual(len(key), 32)
        self.assertEqual(pickled.load_key(self.path), key)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(self.path)).st_mode), 0o700)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["pickle.key"])
        self.assertNotEqual(pickled.load_key(os.path.join(self.folder, "other", "pickle.key")), key)

    def test_a_umask_makes_it_no_looser(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        path = os.path.join(self.folder, ".config", "nosqgrid", "pickle.key")
        pickled.load_key(path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        for folder in (os.path.dirname(path), os.path.join(self.folder, ".config")):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)

    def test_many_who_make_it_at_once_have_one_key(self):
        found, barrier = [], threading.Barrier(8)

        def make():
            barrier.wait()
            found.append(pickled.load_key(self.path))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(found), len(set(found))), (8, 1))
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["pickle.key"])

    def test_where_it_is(self):
        for environment, path in (
                ({"NOSQGRID_PICKLE_KEY": "/a/key", "XDG_CONFIG_HOME": "/x"}, "/a/key"),
                ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/nosqgrid/pickle.key"),
                ({"HOME": "/h"}, "/h/.config/nosqgrid/pickle.key"),
                ({"NOSQGRID_PICKLE_KEY": "", "XDG_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/nosqgrid/pickle.key")):
            with mock.patch.dict(os.environ, environment, clear=True):
                self.assertEqual(pickled.key_path(), path)
        with mock.patch.dict(os.environ, {"NOSQGRID_PICKLE_KEY": self.path}):
            pickled.load_key()
        self.assertTrue(os.path.exists(self.path))

    def test_a_key_that_others_can_use_is_refused(self):
        pickled.load_key(self.path)
        for mode in (0o640, 0o604, 0o660, 0o601):
            os.chmod(self.path, mode)
            self.refused("can be used by others .mode %03o.*chmod 600" % mode)
        os.chmod(self.path, 0o400)
        self.assertEqual(len(pickled.load_key(self.path)), 32)

    def test_a_directory_that_others_can_write_is_refused(self):
        for mode in (0o770, 0o707, 0o1777):
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            os.chmod(os.path.dirname(self.path), mode)
            self.refused("can be written by others: chmod 700")
        self.assertEqual(os.listdir(os.path.dirname(self.path)), [])

    def test_links_and_other_kinds_of_files_are_refused(self):
        real = os.path.join(self.folder, "real", "pickle.key")
        pickled.load_key(real)
        os.mkdir(os.path.dirname(self.path), 0o700)
        os.symlink(real, self.path)
        self.refused("it is a symbolic link")
        os.unlink(self.path)
        os.symlink(os.path.join(self.folder, "nothing"), self.path)
        self.refused("it is a symbolic link")
        os.unlink(self.path)
        os.mkfifo(self.path, 0o600)
        self.refused("not a file of this user")
        os.unlink(self.path)
        os.mkdir(self.path, 0o700)
        self.refused("not a file of this user")

    def test_somebody_elses_key_is_refused(self):
        pickled.load_key(self.path)
        real = os.geteuid()
        with mock.patch.object(os, "geteuid", lambda: real + 1):
            self.refused("others could sign|can be written by others")
        with mock.patch.object(os, "geteuid", lambda: real + 1), mock.patch.object(pickled, "_check_directory"):
            self.refused("not a file of this user .uid %d" % (real + 1))

    def test_a_file_that_is_no_key_is_refused(self):
        pickled.load_key(self.path)
        for data in (b"", b"x" * 31, b"x" * 33):
            with open(self.path, "wb") as file:
                file.write(data)
            self.refused("does not have 32 bytes; remove it")

    def test_a_directory_that_cannot_be_made_is_named(self):
        with open(os.path.join(self.folder, "file"), "w"):
            pass
        self.refused("cannot be used.*NOSQGRID_PICKLE_KEY", os.path.join(self.folder, "file", "nosqgrid", "pickle.key"))
        self.refused("cannot be used.*NOSQGRID_PICKLE_KEY", os.path.join(self.folder, "file", "pickle.key"))

    def test_a_kill_while_it_is_made_leaves_no_half_key(self):
        for name in ("write", "fsync", "link"):
            with mock.patch.object(os, name, side_effect=KeyboardInterrupt), contextlib.suppress(KeyboardInterrupt):
                pickled.load_key(self.path)
            self.assertFalse(os.path.exists(self.path))
        self.assertEqual(len(pickled.load_key(self.path)), 32)


class ImportTests(unittest.TestCase):
    def imported(self, code):
        done = subprocess.run([sys.executable, "-c", "import sys; before = 'pickle' in sys.modules\n" + code
                               + "\nprint(before, 'pickle' in sys.modules, 'nosqgrid.client.pickled' in sys.modules)"],
                              cwd=ROOT, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().split()

    @slow
    def test_neither_a_coordinator_nor_a_client_imports_pickle_unasked(self):
        for code in ("import nosqgrid.cli.serve, nosqgrid.coordinator.coordinator, nosqgrid.storage.checkpointer",
                     "import nosqgrid"):
            self.assertEqual(self.imported(code), ["False", "False", "False"], code)
        # Of the shell, the demo starts processes with multiprocessing, which imports it.
        self.assertEqual(self.imported("import nosqgrid.cli.main, nosqgrid.client.embedded")[::2], ["False", "False"])
        self.assertEqual(self.imported("import nosqgrid.client.pickled"), ["False", "True", "True"])


@unittest.skipIf(numpy is None or not HAS_BUFFERS, "numpy is not installed, or pickle has no protocol 5")
class NumpyInPicklesTests(unittest.TestCase):
    def test_arrays_inside_lie_on_the_payload(self):
        value = {"a": numpy.arange(1000.0), "f": numpy.asfortranarray(numpy.ones((20, 30))),
                 "o": numpy.array([None, 1])}
        parts = pickled.dumps(value, b"k", SECRET)
        raws = [part for part in parts if type(part) is memoryview]
        self.assertTrue(numpy.shares_memory(numpy.frombuffer(raws[0], "u1"), value["a"]))
        payload = b"".join(parts)
        found = pickled.loads(memoryview(payload), b"k", SECRET)
        for name in "af":
            self.assertTrue(numpy.shares_memory(found[name], numpy.frombuffer(payload, "u1")))
            self.assertTrue((found[name] == value[name]).all())
            self.assertEqual(found[name].__array_interface__["data"][0] % 8, 0)
            with self.assertRaises(ValueError):
                found[name].setflags(write=True)
        self.assertEqual(found["o"].tolist(), [None, 1])


@unittest.skipIf(pandas is None or not HAS_BUFFERS, "pandas is not installed, or pickle has no protocol 5")
class PandasInPicklesTests(unittest.TestCase):
    def test_blocks_of_numbers_lie_on_the_payload(self):
        frame = pandas.DataFrame({"i": numpy.arange(500), "f": numpy.arange(500) / 2, "g": numpy.arange(500) / 3,
                                  "b": numpy.arange(500) % 2 == 0, "s": ["x%d" % index for index in range(500)],
                                  "t": pandas.date_range("2020-01-01", periods=500)})
        payload = dumped(frame)
        found = pickled.loads(payload, b"k", SECRET)
        pandas.testing.assert_frame_equal(found, frame)
        whole = numpy.frombuffer(payload, "u1")
        shared = [name for name in frame if numpy.shares_memory(found[name].to_numpy(), whole)]
        self.assertEqual(shared, ["i", "f", "g", "b"])
        with self.assertRaises(ValueError):
            found.iloc[0, 0] = 7
        writable = found.copy()
        writable.iloc[0, 0] = 7
        self.assertEqual((writable.iloc[0, 0], found.iloc[0, 0]), (7, 0))


if __name__ == "__main__":
    unittest.main()
