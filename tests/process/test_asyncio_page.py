"""The programs of docs/asyncio.md run as they stand there, and print what the page says."""

from tests.support.pages import PageTestCase


class PageTest(PageTestCase):
    def test_the_programs_of_the_page(self):
        self.run_page("asyncio.md", at_least=1)
