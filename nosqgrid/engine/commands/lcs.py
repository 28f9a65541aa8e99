"""LCS: the longest common subsequence of two values.

The lengths of the common subsequences of all pairs of prefixes are a table.  A whole row of it is computed at once, as
an int with one bit a column: the bit is 1 where the length grows from one column to the next.  So n rows of m columns
cost n operations on ints of m bits, where the table of numbers would cost n * m.

Which of several longest ones is found is visible; going back through the table prefers a step in the second value
unless only a step in the first keeps the length, as Redis does.

Source: H. Hyyro, "Bit-parallel LCS-length computation revisited", AWOCA 2004.
"""

from ... import errors, limits
from ...formats import resp
from .command import READ, Command, integer, syntax_error

_CELL_BYTES = 4  # of the table that Redis makes, which its limit is about
_LENGTH_MAX = 1 * limits.MIB  # of each value: a step costs 0.5 us, and there is one for each byte


def lcs(context, args):
    """The longest common subsequence of two values: [LEN] [IDX] [MINMATCHLEN number] [WITHMATCHLEN]."""
    lookup = context.keyspace.lookup
    entries = [lookup(args[0]), lookup(args[1])]
    if any(entry is not None and entry.structure is not None for entry in entries):
        raise errors.CommandError("The specified keys must contain string values")
    wants_length, wants_places, shown_length, least = _read_options(args)
    left, right = [b"" if entry is None else entry.value for entry in entries]
    _check_sizes(len(left), len(right))
    rows, length = _table(left, right)
    if wants_length:
        return length
    runs = _matches(left, right, rows)
    if not wants_places:
        return b"".join(left[start:end] for start, end, _, _ in reversed(runs))
    matches = []
    for start, end, other_start, other_end in runs:
        if end - start >= least:
            matches.append([[start, end - 1], [other_start, other_end - 1]] + [end - start] * shown_length)
    return resp.Map([(b"matches", matches), (b"len", length)])


def _read_options(args):
    """(LEN, IDX, WITHMATCHLEN, MINMATCHLEN)"""
    wants_length = wants_places = shown_length = False
    least, index = 0, 2
    while index < len(args):
        option = args[index].upper()
        if option == b"IDX":
            wants_places = True
        elif option == b"LEN":
            wants_length = True
        elif option == b"WITHMATCHLEN":
            shown_length = True
        elif option == b"MINMATCHLEN" and index + 1 < len(args):
            index += 1
            least = integer(args[index])
        else:
            raise syntax_error()
        index += 1
    if wants_length and wants_places:
        raise errors.CommandError("If you want both the length and indexes, please just use IDX.")
    return wants_length, wants_places, shown_length, least


def _check_sizes(left_size, right_size):
    if max(left_size, right_size) > _LENGTH_MAX:
        raise errors.CommandError("String too long for LCS")
    if (left_size + 1) * (right_size + 1) * _CELL_BYTES > limits.VALUE_SIZE_BYTES_MAX:
        raise errors.CommandError("Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")


def _table(left, right):
    """([row after i bytes of `left`], the length): bit j of a row is 1 where byte j of `right` makes it longer."""
    whole = (1 << len(right)) - 1
    masks = _masks(right)
    # Hyyro's vector has a 0 where the length grows.
    vector, rows = whole, [0]
    for byte in left:
        common = vector & masks.get(byte, 0)
        vector = ((vector + common) | (vector - common)) & whole
        rows.append(vector ^ whole)
    return rows, len(right) - bin(vector).count("1")


def _masks(right):
    """Of each byte in `right`, an int whose bit j is 1 where it stands at j."""
    backwards = right[::-1]
    masks = {}
    for byte in set(right):
        digits = bytearray(b"0") * 256
        digits[byte] = ord("1")
        masks[byte] = int(backwards.translate(bytes(digits)), 2)
    return masks


def _matches(left, right, rows):
    """[(start, end, start in right, end in right)] of the runs that make up the subsequence, the last one first."""
    runs, end, size, row_of = [], 0, len(right) + 7 >> 3, -1
    i, j = len(left), len(right)
    while i and j:
        if left[i - 1] == right[j - 1]:
            if not end:
                end, other_end = i, j
            i -= 1
            j -= 1
            continue
        if end:
            runs.append((i, end, j, other_end))
            end = 0
        if row_of != i:
            row, row_of = rows[i].to_bytes(size, "little"), i  # to look at one bit of an int costs its length
        if row[j - 1 >> 3] >> (j - 1 & 7) & 1:
            i -= 1
        else:
            j -= 1
    if end:
        runs.append((i, end, j, other_end))
    return runs


COMMANDS = (
    Command(b"LCS", lcs, -3, READ, 1, 2, 1),
)
