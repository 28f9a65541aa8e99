"""Reading the log back: whatever happened to it, what comes out is whole entries from the front, and the right verdict.

Torn where nothing says that what is missing was on the disk, CorruptFileError where something does.
"""

import os
import random
import unittest

from nosqgrid.errors import CorruptFileError, FormatVersionError
from nosqgrid.formats import log
from nosqgrid.storage import log_reader
from nosqgrid.storage.wal import segment_name
from tests.support.log_bytes import (
    DIRECTORY, LINEAGE, BytesFiles, directory, effect, entries_for, pack, read_log, segment, starts_of)
from tests.support.tiers import slow


FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"


def counts(number):
    """How many effects the entries of a log have."""
    return [1 + index % 3 for index in range(number)]


def never(lsn):
    """durable_lsn at level os."""
    return 0


def always(lsn):
    """durable_lsn at level always."""
    return lsn - 1


def now_and_then(lsn):
    """durable_lsn at level everysec."""
    return (lsn - 1) // 10 * 10


LEVELS = never, now_and_then, always


class ReaderTestCase(unittest.TestCase):
    def verdict(self, files, base_lsn=0):
        """(entries, "whole" | "torn" | "damage", offset of it)."""
        try:
            found, reader = read_log(files, base_lsn)
        except CorruptFileError as error:
            return None, "damage", error.offset
        if reader.torn is None:
            return found, "whole", None
        self.assertIn(reader.torn.path, [DIRECTORY + "/" + name for name in files.contents])
        self.assertIn("are left out", str(reader.torn))
        return found, "torn", reader.torn.offset

    def expect(self, files, entries, verdict, offset=None, base_lsn=0, message=None):
        found, what, where = self.verdict(files, base_lsn)
        self.assertEqual(what, verdict, message)
        if verdict != "damage":
            self.assertEqual(found, entries, message)
        if offset is not None:
            self.assertEqual(where, offset, message)

    @staticmethod
    def expected(entries, bad, witness_lsn=0):
        """The verdict when entry number `bad` is gone and those behind it are there; or all from there on: len()."""
        missing = entries[bad][0] if bad < len(entries) else 0
        known = max([witness_lsn] + [entry[1] for entry in entries[bad + 1:]])
        return "damage" if known >= missing else "torn"


class OneSegmentTest(ReaderTestCase):
    def setUp(self):
        self.logs = [entries_for(1, counts(40), durable) for durable in LEVELS]

    def test_a_log_that_is_whole(self):
        for entries in self.logs:
            found, reader = read_log(directory(segment(1, 1, entries)))
            self.assertEqual(found, entries)
            self.assertEqual((reader.end_lsn, reader.torn), (sum(counts(40)), None))
        self.expect(directory(), [], "whole")
        self.expect(directory(segment(1, 1, [])), [], "whole")

    @slow
    def test_every_truncation_leaves_whole_entries(self):
        for entries in self.logs[1:2]:
            data, starts = segment(1, 1, entries), starts_of(entries)
            self.assertEqual(starts[-1], len(data))
            for size in range(len(data)):
                files = directory(data[:size])
                if size < starts[0]:
                    self.expect(files, [], "torn", 0)
                    continue
                left = sum(start <= size for start in starts) - 1
                whole = starts[left] == size
                self.expect(files, entries[:left], "whole" if whole else "torn", None if whole else starts[left])

    @slow
    def test_every_truncation_of_a_segment_that_another_follows(self):
        for entries, durable in zip(self.logs, LEVELS):
            data, starts = segment(1, 1, entries), starts_of(entries)
            following_lsn = entries[-1][0] + entries[-1][3]
            tail = entries_for(following_lsn, counts(5), durable)
            following = segment(2, following_lsn, tail, durable(following_lsn))
            self.expect(directory(data, following), entries + tail, "whole")
            for size in range(0, len(data), 1 if durable is now_and_then else 37):
                left = max(sum(start <= size for start in starts) - 1, 0)
                missing = entries[left][0]
                known = max([durable(following_lsn)] + [entry[1] for entry in tail])
                self.expect(directory(data[:size], following), entries[:left] if size >= starts[0] else [],
                            "damage" if known >= missing else "torn", starts[left] if size >= starts[0] else 0)

    @slow
    def test_every_flipped_bit_of_four_kilobytes(self):
        for durable, step in zip(LEVELS, (1, 1, 1) if FULL else (23, 3, 23)):
            entries = entries_for(1, counts(27), durable)
            data, starts = segment(1, 1, entries), starts_of(entries)
            self.assertGreater(len(data), 3800)
            files = directory(data)
            number = 0
            for bit in range(0, 8 * len(data), step):
                changed = bytearray(data)
                changed[bit // 8] ^= 1 << bit % 8
                files.contents[segment_name(1)] = bytes(changed)
                if bit // 8 < starts[0]:
                    self.flipped_header(files, entries, bit)
                    continue
                while starts[number + 1] <= bit // 8:
                    number += 1
                self.expect(files, entries[:number], self.expected(entries, number), starts[number], message=bit)

    def flipped_header(self, files, entries, bit):
        if 8 <= bit // 8 < 12 and bit != 64:  # version 0 was never one
            self.assertRaises(FormatVersionError, read_log, files)
        else:
            self.expect(files, [], "damage" if max(entry[1] for entry in entries) else "torn", 0, message=bit)

    def test_entries_zeroed_doubled_swapped_and_left_out(self):
        for entries in self.logs:
            packed = [pack([entry]) for entry in entries]
            header = segment(1, 1, [])
            for number in range(39):
                for changed in (packed[:number] + [bytes(len(packed[number]))] + packed[number + 1:],
                                packed[:number] + packed[number + 1:],
                                packed[:number] + [packed[number + 1], packed[number]] + packed[number + 2:]):
                    files = directory(header + b"".join(changed))
                    # Behind a swap, entry `number` is there, but where nobody looks for it, and still a witness.
                    self.expect(files, entries[:number], self.expected(entries, number), starts_of(entries)[number])
                doubled = packed[:number + 1] + packed[number:]
                self.expect(directory(header + b"".join(doubled)), entries[:number + 1],
                            self.expected(entries, number + 1), starts_of(entries)[number + 1])

    def test_a_hole_of_zeros_at_the_end(self):
        # The size of the file had reached the disk, and the data had not.
        for entries in self.logs:
            data = segment(1, 1, entries)
            for zeros in (1, 39, 40, 41, 512, 5000):
                self.expect(directory(data + bytes(zeros)), entries, "torn", len(data))

    def test_what_an_older_file_left_behind_the_end(self):
        entries = self.logs[2]
        data = segment(1, 1, entries)
        for stale in (segment(9, 500, entries_for(500, counts(5), never)), data[log.SEGMENT_HEADER_SIZE_BYTES:],
                      pack([entries[5]])):
            self.expect(directory(data + stale), entries, "torn", len(data))
        spliced = segment(1, 1, entries[:20]) + pack(entries_for(500, [1], always))
        self.expect(directory(spliced), entries[:20], "damage", len(segment(1, 1, entries[:20])))

    def test_headers_with_any_lengths(self):
        rng = random.Random(3)
        entries = self.logs[1]
        starts = starts_of(entries)
        for _ in range(300):
            number = rng.randrange(40)
            data = bytearray(segment(1, 1, entries))
            at = starts[number] + rng.choice((32, 36))  # count, length
            data[at:at + 4] = rng.choice((0, 1, 7, 8, 2 ** 30 - 1, 2 ** 30, 2 ** 31, 2 ** 32 - 1,
                                          rng.getrandbits(32))).to_bytes(4, "little")
            if bytes(data) != segment(1, 1, entries):
                self.expect(directory(bytes(data)), entries[:number], self.expected(entries, number), starts[number])

    def test_positions_up_to_the_last(self):
        entries = entries_for(log.LSN_MAX - 2, [1, 2])
        self.expect(directory(segment(1, log.LSN_MAX - 2, entries)), entries, "whole", base_lsn=log.LSN_MAX - 3)
        beyond = entries_for(log.LSN_MAX - 2, [1, 3])
        self.expect(directory(segment(1, log.LSN_MAX - 2, beyond)), beyond[:1], "torn", base_lsn=log.LSN_MAX - 3)

    def test_an_entry_within_a_value_is_no_witness(self):
        # Somebody keeps a log in the grid; the write of that very value was torn.
        inner = pack(entries_for(2 ** 40, [1], always), sequence=7)
        outer = (3, 2, 0, 1, effect(3)[:8] + b"key:3" + inner + bytes(500))
        entries = entries_for(1, [1, 1], always)
        data = segment(1, 1, entries) + pack([outer])
        self.expect(directory(data[:-300]), entries, "torn", starts_of(entries)[-1])

    def test_entries_longer_than_what_is_read_at_a_time(self):
        entries = entries_for(1, [1, 2, 40, 1, 7, 1], always, size=300)
        data, starts = segment(1, 1, entries), starts_of(entries)
        before = log_reader.READ_BYTES
        try:
            for log_reader.READ_BYTES in (log.ENTRY_HEADER_SIZE_BYTES, 41, 333, 1000, 5000):
                self.expect(directory(data), entries, "whole")
                self.expect(directory(data[:-1]), entries[:-1], "torn", starts[-2])
                for number in range(6):
                    changed = bytearray(data)
                    changed[starts[number] + 50] ^= 1
                    self.expect(directory(bytes(changed)), entries[:number], self.expected(entries, number),
                                starts[number], message=(log_reader.READ_BYTES, number))
        finally:
            log_reader.READ_BYTES = before


class SeveralSegmentsTest(ReaderTestCase):
    def make(self, durable, sizes=(6, 6, 6)):
        """The entries of some segments, and those as bytes."""
        self.parts, self.data, first_lsn = [], [], 1
        for number, size in enumerate(sizes, 1):
            entries = entries_for(first_lsn, counts(size), durable)
            self.parts.append(entries)
            self.data.append(segment(number, first_lsn, entries, durable(first_lsn)))
            first_lsn += sum(counts(size))
        self.all = [entry for part in self.parts for entry in part]

    def test_in_their_order_whatever_names_come_first(self):
        self.make(always)
        self.expect(directory(*self.data), self.all, "whole")

    def test_one_is_missing(self):
        for durable in LEVELS:
            self.make(durable)
            verdict = "torn" if durable is never else "damage"
            self.expect(directory(self.data[0], None, self.data[2]), self.parts[0], verdict)
            self.expect(directory(None, *self.data[1:]), [], verdict, 0)
            self.expect(directory(*self.data[:2]), self.parts[0] + self.parts[1], "whole")

    def test_a_single_position_is_missing(self):
        for durable, verdict in ((never, "torn"), (always, "damage")):
            self.expect(directory(segment(1, 2, entries_for(2, [1], durable), durable(2))), [], verdict, 0)
            first = entries_for(1, [1], durable)
            second = segment(2, 3, entries_for(3, [1], durable), durable(3))
            self.expect(directory(segment(1, 1, first), second), first, verdict)

    def test_the_header_of_a_segment_is_a_witness_for_the_position_it_names(self):
        first = entries_for(1, [1] * 5)
        for durable_lsn, verdict in ((3, "torn"), (4, "damage"), (5, "damage")):
            second = segment(2, 6, entries_for(6, [1]), durable_lsn)
            self.expect(directory(segment(1, 1, first[:3]), second), first[:3], verdict)

    def test_the_last_of_several_segments_supersedes_them_all(self):
        old = entries_for(1, [1] * 10)
        for begin in (1, 5, 10):
            new = entries_for(begin, [1] * 3, size=5)
            files = directory(segment(1, 1, old), segment(2, 11, entries_for(11, [1] * 3)), segment(3, begin, new))
            self.expect(files, old[:begin - 1] + new, "whole")

    def test_numbers_that_are_missing_and_nothing_else(self):
        self.make(always)
        files = BytesFiles({segment_name(number): data for number, data in
                            zip((3, 9, 100000000), self.renumbered((3, 9, 100000000)))})
        self.expect(files, self.all, "whole")

    def renumbered(self, numbers):
        return [segment(number, part[0][0], part, part[0][1]) for number, part in zip(numbers, self.parts)]

    def test_one_under_the_name_of_another(self):
        self.make(always)
        self.expect(directory(self.data[0], self.data[2], self.data[1]), None, "damage")
        self.make(never)
        self.expect(directory(self.data[0], self.data[2], self.data[1]), self.parts[0], "torn")

    def test_other_names_are_not_looked_at(self):
        self.make(always)
        files = directory(*self.data)
        for name in ("wal-1", "wal-00000004.tmp", "wal-000000004", "wal-0000000x", "awal-00000004", "wal.tmp", "lock"):
            files.contents[name] = b"garbage"
        self.expect(files, self.all, "whole")

    def test_one_of_another_grid(self):
        self.make(always)
        other = segment(2, self.parts[1][0][0], self.parts[1], 5, LINEAGE + 1)
        with self.assertRaisesRegex(CorruptFileError, "another grid"):
            read_log(directory(self.data[0], other, self.data[2]))
        found, _ = read_log(directory(self.data[0], other), lineage=None)
        self.assertEqual(found, self.parts[0] + self.parts[1])

    def test_one_of_the_future_is_never_left_out_silently(self):
        self.make(never)
        for number in range(3):
            future = list(self.data)
            future[number] = future[number][:8] + (2).to_bytes(4, "little") + future[number][12:]
            self.assertRaises(FormatVersionError, read_log, directory(*future))
            torn = [data[:-1] for data in future]
            self.assertRaises(FormatVersionError, read_log, directory(*torn))

    def test_every_damage_in_the_middle(self):
        for durable in LEVELS:
            self.make(durable)
            for number in range(3):
                for index in range(6):
                    data = bytearray(self.data[number])
                    start = starts_of(self.parts[number])[index]
                    data[start + 45] ^= 8
                    files = directory(*self.data[:number] + [bytes(data)] + self.data[number + 1:])
                    at = 6 * number + index
                    witness = max([durable(part[0][0]) for part in self.parts[number + 1:]] or [0])
                    self.expect(files, self.all[:at], self.expected(self.all, at, witness), start,
                                message=(durable.__name__, at))

    def test_headers_damaged(self):
        for durable in LEVELS:
            self.make(durable)
            for number in range(3):
                data = b"\0" * 64 + self.data[number][64:]
                files = directory(*self.data[:number] + [data] + self.data[number + 1:])
                at = 6 * number
                known = max(entry[1] for entry in self.all[at:])
                self.expect(files, self.all[:at], "damage" if known >= self.all[at][0] else "torn",
                            message=(durable.__name__, number))

    def test_a_later_segment_supersedes_the_tail_of_an_earlier(self):
        for durable in LEVELS:
            old = entries_for(1, [1] * 10, durable)
            for cut in range(1, 11):
                new = entries_for(cut, [1] * 4, durable, size=9)
                first, second = segment(1, 1, old), segment(2, cut, new, durable(cut))
                self.expect(directory(first, second), old[:cut - 1] + new, "whole")
                # What is superseded may be damaged, torn, or gone.
                starts = starts_of(old)
                kept = first[:starts[cut - 1]]
                for changed in (kept, first[:len(kept) + 20], kept + bytes(99)):
                    self.expect(directory(changed, second), old[:cut - 1] + new, "whole")
                third = segment(3, cut + 2, entries_for(cut + 2, [1], durable, size=1), durable(cut))
                self.expect(directory(first, second, third),
                            old[:cut - 1] + new[:2] + entries_for(cut + 2, [1], durable, size=1), "whole")

    def test_an_entry_that_reaches_into_the_next_segment(self):
        for durable, verdict in ((never, "torn"), (always, "damage")):
            old = entries_for(1, [1, 1, 4], durable)
            new = segment(2, 5, entries_for(5, [1], durable), durable(5))
            self.expect(directory(segment(1, 1, old), new), old[:2], verdict, starts_of(old)[2])

    def test_every_position_of_a_checkpoint(self):
        self.make(always)
        ends = [entry[0] + entry[3] - 1 for entry in self.all]
        for base_lsn in range(ends[-1] + 1):
            behind = [entry for entry in self.all if entry[0] > base_lsn]
            if base_lsn in [0] + ends:
                self.expect(directory(*self.data), behind, "whole", base_lsn=base_lsn)
            else:  # in the middle of an entry, where no checkpoint stands
                left_out = behind and behind[-1][1] > base_lsn
                self.expect(directory(*self.data), [], "damage" if left_out else "torn", base_lsn=base_lsn)
        for base_lsn in (ends[-1] + 1, ends[-1] + 100):
            self.expect(directory(*self.data), [], "whole", base_lsn=base_lsn)

    def test_segments_that_a_checkpoint_has_may_be_gone_or_damaged(self):
        self.make(always)
        base_lsn = self.parts[1][-1][0] + self.parts[1][-1][3] - 1
        for files in (directory(None, None, self.data[2]), directory(None, self.data[1][:100], self.data[2]),
                      directory(bytes(100), self.data[1], self.data[2]), directory(b"", b"", self.data[2])):
            self.expect(files, self.parts[2], "whole", base_lsn=base_lsn)
        self.expect(directory(self.data[0]), [], "whole", base_lsn=base_lsn)

    def test_an_empty_segment_at_the_end_and_one_that_was_just_made(self):
        self.make(always)
        following = self.all[-1][0] + self.all[-1][3]
        self.expect(directory(*self.data + [segment(4, following, [], following - 1)]), self.all, "whole")
        for torn in (b"", b"\0" * 64, segment(4, following, [], following - 1)[:63]):
            self.expect(directory(*self.data + [torn]), self.all, "torn", 0)
        # Its header says that what is not there any more was on the disk.
        self.expect(directory(*self.data[:2] + [None, segment(4, following, [], following - 1)]), None, "damage")
        self.expect(directory(*self.data[:2] + [None, segment(4, following, [], 0)]), self.parts[0] + self.parts[1],
                    "torn")


class AnyBytesTest(ReaderTestCase):
    def test_random_changes_never_give_what_was_not_written(self):
        rng = random.Random(5)
        seen = {"whole": 0, "torn": 0, "damage": 0}
        for _ in range(1500):
            durable = rng.choice(LEVELS)
            parts, data, first_lsn = [], [], 1
            for number in range(1, 4):
                entries = entries_for(first_lsn, counts(rng.randrange(5)), durable, rng.choice((0, 50)))
                parts += entries
                data.append(bytearray(segment(number, first_lsn, entries, durable(first_lsn))))
                first_lsn = parts[-1][0] + parts[-1][3] if parts else 1
            for _ in range(rng.randrange(3)):
                self.change(rng, rng.choice(data))
            found, what, _ = self.verdict(directory(*[bytes(piece) for piece in data]))
            seen[what] += 1
            if found is not None:
                self.assertEqual(found, parts[:len(found)])
                if what == "whole":
                    lost = parts[len(found):]
                    self.assertFalse(lost and max(entry[1] for entry in lost) >= lost[0][0])
        self.assertGreater(min(seen.values()), 50, seen)

    @staticmethod
    def change(rng, data):
        at = rng.randrange(64, len(data) + 1)
        action = rng.randrange(4)
        if action == 0:
            del data[at:]
        elif action == 1:
            data[at:at + 30] = bytes(len(data[at:at + 30]))
        elif action == 2:
            data[at:at] = data[64:64 + rng.randrange(200)]
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)


if __name__ == "__main__":
    unittest.main()
