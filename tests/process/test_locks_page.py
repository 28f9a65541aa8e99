"""The programs of docs/locks.md run as they stand there, and print what the page says."""

from tests.support.pages import PageTestCase
from tests.support.tiers import slow


class PageTest(PageTestCase):
    @slow
    def test_the_programs_of_the_page(self):
        self.run_page("locks.md", at_least=2)
