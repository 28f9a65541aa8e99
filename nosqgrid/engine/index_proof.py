"""The proof of an index: every invariant of engine/index that can be seen in its tables.

It only reads; it costs a walk of everything.
"""

from ..errors import InvariantError
from ..formats.arena import NEWEST, ROOT
from ..formats.slots import EMPTY, FIRST_REAL, MOVED, OFFSET_MASK, TAG_MASK, TAG_SHIFT


class IndexProof(object):
    """What an Index is checked with."""

    def check(self):
        """Verify every invariant that can be seen from here; raises InvariantError."""
        tables = [self.table] + ([self.new] if self.migrating else [])
        live = 0
        seen = set()
        for table in tables:
            first = self.frontier if self.migrating and table is self.table else table.base
            for slot in range(table.base, first):
                self._expect(self.words[slot] == MOVED, "slot %d before the frontier is not MOVED" % slot)
            live += self._check_table(table, first, seen)
        self._expect(live == self.live, "%d real slots, %d counted" % (live, self.live))
        self._expect(self.words[ROOT] == self.table.word, "ROOT does not name the table")
        if self.new is not None:
            self._expect(self.words[NEWEST] == self.new.word, "NEWEST does not name the new table")

    def _check_table(self, table, first, seen):
        live, used, cluster = 0, 0, first
        for slot in range(first, table.end):
            word = self.words[slot]
            self._expect(word != MOVED, "slot %d is MOVED" % slot)
            if word == EMPTY:
                cluster = slot + 1
                continue
            used += 1
            self._expect(slot < table.tail, "slot %d is taken, behind the tail" % slot)
            if word >= FIRST_REAL:
                key_hash = self.hash_at((word & OFFSET_MASK) << 3)
                home = table.base + (key_hash >> table.shift)
                self._expect(cluster <= home <= slot, "slot %d cannot be reached from its home %d" % (slot, home))
                self._expect(word >> TAG_SHIFT == key_hash & TAG_MASK, "slot %d has a wrong tag" % slot)
                self._expect(word & OFFSET_MASK not in seen, "slot %d repeats a record" % slot)
                seen.add(word & OFFSET_MASK)
                live += 1
        self._expect(self.words[table.end - 1] == EMPTY, "the last slot is taken")
        if table is not self.table or not self.migrating:
            self._expect(used == table.used, "%d slots used, %d counted" % (used, table.used))
        return live

    @staticmethod
    def _expect(condition, what):
        if not condition:
            raise InvariantError("index: " + what)
