"""What holds for every family of commands on structures with a log; each family's test brings its examples."""

from nosqgrid.engine import commands
from nosqgrid.engine.loading import Loader
from nosqgrid.errors import DiskError, NosqgridError
from tests.support.engine_context import EngineContext, contents
from tests.support.tiers import slow
from tests.support.walks import ListLog, make_space


class LoggedStructures(object):
    """To be mixed into a TestCase: what the log holds makes them again, and what it refuses did not happen."""

    MODULES = ()  # ends of the names of the modules whose commands are meant
    WRITING = 0  # how many commands of theirs write
    PRESET = ()  # commands that make what is there
    EXAMPLES = ()  # of every command that writes: words that change something, and how many effects that has
    NOTHING = ()  # words that change nothing

    def make(self, preset=None, **options):
        self.space, self.header = make_space(1 << 20, **options)
        self.space.now_ms = 1000
        self.space.wall_ms = lambda: self.space.now_ms + 10 ** 12
        self.context = EngineContext(keyspace=self.space)
        self.log = ListLog()
        self.space.set_log(self.log)
        for words in self.PRESET if preset is None else preset:
            self.context.run(words.split())
        self.logged = len(self.log.entries)

    def run_words(self, words):
        try:
            return self.context.run(words.split())
        except DiskError:
            raise
        except NosqgridError as error:
            return error
        finally:
            self.context.waiting.session_ended(self.context.session)

    def seen(self, space):
        """What clients see of a keyspace."""
        return contents(space)

    def details(self, space):
        """{key: what is the same after a replay, beside what clients see}."""
        return {key: (structure.size_bytes, structure.version, structure.deadline_ms)
                for key, structure in space.structures.by_key.items()}

    def accounts(self):
        """What a command that did not happen leaves as it was."""
        space = self.space
        return (self.seen(space), self.details(space), space.version, space.key_count, space.structures.used_bytes,
                space.staging)

    def replayed(self):
        """A keyspace that the log makes."""
        target, _ = make_space(header=self.header)
        target.now_ms = self.space.now_ms
        loader = Loader(target)
        for first_lsn, count, payload in self.log.entries:
            loader.apply(first_lsn, count, payload, 0, False)
        loader.finish(self.space.version)
        target.check()
        return target

    def assert_replayed(self, where=None):
        self.space.check()
        target = self.replayed()
        self.assertEqual(self.seen(target), self.seen(self.space), where)
        self.assertEqual(self.details(target), self.details(self.space), where)

    def test_the_examples_are_of_all_commands_that_write(self):
        writing = set()
        for row in commands.TABLE.values():
            for found in (row.subcommands or {b"": row}).values():
                if "write" in found.flags and found.function.__module__.rpartition(".")[2] in self.MODULES:
                    writing.add(found.name.replace(b"|", b" "))
        untried = {name for name in writing if not any((words + b" ").startswith(name + b" ")
                                                       for words, _ in self.EXAMPLES)}
        self.assertEqual((untried, len(writing)), (set(), self.WRITING))

    @slow
    def test_each_is_one_entry_with_its_effects(self):
        for words, count in self.EXAMPLES:
            self.make()
            version = self.space.version
            reply = self.run_words(words)
            self.assertNotIsInstance(reply, NosqgridError, words)
            self.assertEqual([entry[:2] for entry in self.log.entries[self.logged:]], [(version + 1, count)], words)
            self.assertEqual(self.space.version, version + count, words)
            self.assert_replayed(words)

    @slow
    def test_one_that_changes_nothing_is_not_logged(self):
        for words in self.NOTHING:
            self.make()
            before = self.accounts()
            self.run_words(words)
            self.assertEqual(len(self.log.entries), self.logged, words)
            self.assertEqual(self.accounts(), before, words)

    @slow
    def test_one_that_the_log_refuses_did_not_happen(self):
        for words, count in self.EXAMPLES:
            self.make()
            before = self.accounts()
            self.log.error = DiskError("planted")
            for _ in range(3):
                with self.assertRaises(DiskError, msg=words):
                    self.run_words(words)
                self.assertEqual(self.accounts(), before, words)
                self.space.check()
            self.log.error = None
            self.run_words(words)
            self.assertEqual(self.log.entries[-1][1], count, words)
            self.assert_replayed(words)

    def run_randomly(self, rng, length, make_words, refused_share=0.05):
        """Run commands, some of which the log refuses; how many those were."""
        refused = 0
        for _ in range(length):
            self.log.error = DiskError("planted") if rng.random() < refused_share else None
            try:
                self.run_words(make_words(rng))
            except DiskError:
                refused += 1
        self.log.error = None
        return refused


