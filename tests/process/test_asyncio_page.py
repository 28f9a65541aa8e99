"""The programs of docs/asyncio.md run as they stand there, and print what the page says."""

import os
import unittest

from tests.process.test_examples import commands_of, programs_of
from tests.style.test_docs import text_of
from tests.support.processes import REPOSITORY, ProcessTestCase, wait_until

PAGE = os.path.join(REPOSITORY, "docs", "asyncio.md")


class AsyncioPageTests(ProcessTestCase):
    def test_the_programs_of_the_page(self):
        page = text_of(PAGE)
        programs, commands = programs_of(page), commands_of(page)
        self.assertEqual(set(programs), {name for name, _, _ in commands})
        self.assertEqual(len(programs), 1)
        for name, arguments, printed in commands:
            path, socket_path = self.path(name, keep=True), self.path("nosq.sock")
            with open(path, "w", encoding="utf-8") as file:
                file.write(programs[name])
            child = self.spawn([path] + arguments, environment={"NOSQGRID_SOCKET": socket_path,
                                                                "PYTHONDONTWRITEBYTECODE": "1"})
            self.assertEqual(child.finish().rstrip("\n"), printed)
            wait_until(lambda: not os.path.exists(socket_path), what="the coordinator to end")


if __name__ == "__main__":
    unittest.main()
