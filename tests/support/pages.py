"""Programs of a document: a code block that begins with a name, and blocks that show what it prints."""

import os

from tests.process.test_examples import commands_of, programs_of
from tests.style.test_docs import text_of
from tests.support.processes import REPOSITORY, ProcessTestCase, wait_until


class PageTestCase(ProcessTestCase):
    def run_page(self, name, at_least):
        """Run every program of docs/NAME, which has so many at least, and compare what it prints."""
        page = text_of(os.path.join(REPOSITORY, "docs", name))
        programs, commands = programs_of(page), commands_of(page)
        self.assertEqual(set(programs), {name for name, _, _ in commands})
        self.assertGreaterEqual(len(programs), at_least)
        for name, arguments, printed in commands:
            with self.subTest(name):
                path, socket_path = self.path(name, keep=True), self.path("nosq.sock")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(programs[name])
                child = self.spawn([path] + arguments, environment={"NOSQGRID_SOCKET": socket_path,
                                                                    "PYTHONDONTWRITEBYTECODE": "1"})
                self.assertEqual(child.finish().rstrip("\n"), printed)
                wait_until(lambda: not os.path.exists(socket_path), what="the coordinator to end")
