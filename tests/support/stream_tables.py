"""Tables of lines and replies, each run on an empty keyspace of its own."""

from tests.support.engine_context import EngineContext, EngineTest
from tests.support.plain_replies import plain


class StreamTableTest(EngineTest):
    """check() runs a table of (line, plain reply)."""

    def check(self, table):
        context = EngineContext()
        for line, expected in table:
            if line == "HELLO 3":
                context.session.protocol = 3
                continue
            self.assertEqual(plain(context.call(*line.split(" "))), expected, line)
        context.keyspace.check()
