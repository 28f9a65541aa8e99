"""Addresses: what people write becomes the path of a socket, or a clear refusal."""

import os
import pathlib
import shutil
import tempfile
import unittest
from unittest import mock

from nosqgrid import errors, limits
from nosqgrid.network import addresses


class Given(unittest.TestCase):
    def test_paths_with_and_without_a_prefix(self):
        for address in ("/run/x.sock", "unix:/run/x.sock", "nosq:/run/x.sock", "unix:///run/x.sock", b"/run/x.sock",
                        pathlib.Path("/run/x.sock"), "/run//y/../x.sock"):
            with self.subTest(address=address):
                self.assertEqual(addresses.resolve(address), "/run/x.sock")

    def test_a_relative_path_counts_from_the_present_directory(self):
        for address in ("x.sock", "unix:x.sock", "./x.sock"):
            with mock.patch("os.getcwd", lambda: "/some/where"):
                self.assertEqual(addresses.resolve(address), "/some/where/x.sock")

    def test_only_one_prefix_is_taken_off(self):
        self.assertEqual(addresses.resolve("unix:/run/unix:x"), "/run/unix:x")

    def test_abstract_sockets_are_refused(self):
        for address in ("\0name", "unix:\0name", "@name", "unix:@name", "/run/x\0y", b"\0name"):
            with self.subTest(address=address):
                with self.assertRaisesRegex(errors.UsageError, "abstract sockets are open to every local user"):
                    addresses.resolve(address)
        self.assertTrue(addresses.resolve("./@name").endswith("/@name"))

    def test_an_empty_address_is_refused(self):
        for address in ("", "unix:", "nosq:", b""):
            with self.assertRaisesRegex(errors.UsageError, "names no socket"):
                addresses.resolve(address)

    def test_other_types_are_refused(self):
        for address in (5, ("/run/x",), object()):
            with self.assertRaisesRegex(errors.UsageError, "not " + type(address).__name__):
                addresses.resolve(address)

    def test_the_length_is_limited_in_bytes(self):
        most = limits.SOCKET_PATH_BYTES_MAX
        self.assertEqual(len(addresses.resolve("/" + "x" * (most - 1))), most)
        for path in ("/" + "x" * most, "/" + "\u20ac" * (most // 3 + 1)):
            with self.assertRaisesRegex(errors.UsageError, "has 10[0-9] bytes, .* no more than 100"):
                addresses.resolve(path)

    def test_names_that_are_not_utf8_reach_the_system_unchanged(self):
        self.assertEqual(os.fsencode(addresses.resolve(b"/run/\xff.sock")), b"/run/\xff.sock")


class Found(unittest.TestCase):
    def setUp(self):
        self.directory = os.path.realpath(tempfile.mkdtemp(prefix="nq"))
        self.addCleanup(shutil.rmtree, self.directory)

    def resolve(self, uid=1000, **environment):
        """resolve() for a user and an environment; /run and TMPDIR are below self.directory."""
        patches = (mock.patch.dict(os.environ, environment, clear=True), mock.patch("os.geteuid", lambda: uid),
                   mock.patch.object(addresses, "ROOT_DIRECTORY", self.path("run")),
                   mock.patch("tempfile.tempdir", self.directory))
        with patches[0], patches[1], patches[2], patches[3]:
            return addresses.resolve()

    def path(self, name):
        return os.path.join(self.directory, name)

    def test_the_variable_comes_first(self):
        self.assertEqual(self.resolve(uid=0, NOSQGRID_SOCKET="unix:/a/b.sock"), "/a/b.sock")

    def test_an_empty_variable_is_as_good_as_none(self):
        self.assertEqual(self.resolve(NOSQGRID_SOCKET=""), self.path("nosqgrid-1000/nosq.sock"))

    def test_a_variable_that_cannot_be_an_address_is_an_error(self):
        with self.assertRaisesRegex(errors.UsageError, "abstract"):
            self.resolve(NOSQGRID_SOCKET="@x")

    def test_root_uses_run_where_it_can(self):
        self.assertEqual(self.resolve(uid=0), self.path("nosqgrid-0/nosq.sock"))
        os.mkdir(self.path("run"))
        self.assertEqual(self.resolve(uid=0), self.path("run/nosq.sock"))
        self.assertEqual(self.resolve(uid=1000), self.path("nosqgrid-1000/nosq.sock"))
        with mock.patch("os.access", lambda path, mode: False):
            self.assertEqual(self.resolve(uid=0), self.path("nosqgrid-0/nosq.sock"))

    def test_the_runtime_directory_is_used_when_it_is_ours(self):
        runtime = self.path("runtime")
        own = os.geteuid()
        self.assertEqual(self.resolve(uid=own, XDG_RUNTIME_DIR=runtime), self.path("nosqgrid-%d/nosq.sock" % own))
        os.mkdir(runtime)
        self.assertEqual(self.resolve(uid=own, XDG_RUNTIME_DIR=runtime), self.path("runtime/nosq.sock"))
        # As after su, when it still names the directory of the user before.
        self.assertEqual(self.resolve(uid=own + 1, XDG_RUNTIME_DIR=runtime),
                         self.path("nosqgrid-%d/nosq.sock" % (own + 1)))

    def test_a_runtime_directory_that_is_no_directory_is_passed_over(self):
        own = os.geteuid()
        with open(self.path("file"), "w") as file:
            file.write("x")
        for runtime in (self.path("file"), "relative", ""):
            self.assertEqual(self.resolve(uid=own, XDG_RUNTIME_DIR=runtime), self.path("nosqgrid-%d/nosq.sock" % own))


if __name__ == "__main__":
    unittest.main()
