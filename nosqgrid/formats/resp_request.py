"""Commands on the wire: an incremental parser for what clients send, and the encoder for sending it.

    command   := "*" count CRLF  argument{count}  |  inline
    argument  := "$" size CRLF  byte{size}  CRLF
    count     := size | "-" [1-9][0-9]{0,8}
    size      := 0 | [1-9][0-9]{0,9}
    CRLF      := exactly 0D 0A
    inline    := a line of words: see resp_inline, which also says what becomes of HTTP

A sender who is not `trusted` yet may send only little at a time, as much as it takes to log in, and one who is not
`inline` no lines but empty ones.

An array of none or less and an empty line are skipped, as Redis does.  A BELL between commands is skipped and counted:
attached clients ring with it for their lane.

Two ways through the same bytes.  Short commands that are whole, which is nearly all there ever are, are cut out of the
buffer with one split at CRLF, and their lengths compared afterwards, both in C: a third of the time.  Where anything
does not agree (a value with CRLF in it, a long one, the beginning of a command, an error) the exact way takes over,
header by header.  The fast way accepts nothing that the exact way would not read the same.

Invariants
 1. Whatever is fed, next() returns a list of bytes, or None, or raises ProtocolError; nothing else.
 2. The commands, and the error if there is one, do not depend on how the bytes were cut into pieces.  Even the
    beginning of a header is judged as soon as it is there, so that a wrong one is not waited for.
 3. Every declared number is checked against its limit, and the sum of one command against QUERY_BUFFER_BYTES_MAX,
    before the bytes it announces are kept.

Source: protocol.tcl of Redis' own test suite for the error texts.
"""

from .. import limits
from . import resp_incoming, resp_inline
from .resp_incoming import BELL_BYTE, CRLF, HEADER_BYTES_MAX, SMALL_NUMBERS

_STAR = ord("*")
_DOLLAR = ord("$")

_NEGATIVE_MAX = 10 ** 9 - 1  # with its sign it is as long as a header can be

# What a line of words may begin with: the rest is binary, from somebody who speaks something else.
_CR, _LF = _ENDS_LINE = b"\r\n"
_BEGINS_LINE = frozenset(range(32, 127)) | frozenset(resp_inline.SPACES)

# The headers that the fast way knows.  No command made of them can exceed a limit.
COUNTS = {b"*%d" % count: count for count in range(1, 1025)}
LENGTHS = {b"$%d" % length: length for length in range(4096)}

ALIKE_MAX = 64  # commands taken together: of one client, before the others have their turn

# What an argument costs beside its bytes: its header, a pointer, and the head of a bytes object.
_ARGUMENT_OVERHEAD_BYTES = 48


class Parser(resp_incoming.Incoming):
    """Turns fed bytes into commands.

    >>> parser = Parser()
    >>> parser.feed(b"*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n*1\\r\\n$4\\r\\nPI")
    >>> parser.next(), parser.next()
    ([b'GET', b'k'], None)
    >>> parser.feed(b"NG\\r\\n")
    >>> parser.next()
    [b'PING']
    """

    def __init__(self, inline=False):
        super().__init__()
        self._arguments = []
        self._expected = 0  # arguments of the present command still to come
        self._room_bytes = 0  # what the present command may still take
        self._ready = []  # whole commands, the next one last
        self._fresh = False  # the buffer was not yet split since the last feed
        self.trusted = True
        self.inline = inline

    @property
    def pending_size_bytes(self):
        """How many bytes were fed and wait here: whole commands not yet taken, and the beginning of another."""
        waiting = super().pending_size_bytes
        # What the fast way cut out was written in the one way there is.
        return waiting + sum(len(encode_command(*command)) for command in self._ready)

    @property
    def partial(self):
        """Whether a command has begun and is not whole: its sender owes us the rest."""
        return self._expected > 0 or self._position < len(self._buffer)

    @property
    def at_rest(self):
        """Whether there is nothing here: no command, whole or begun."""
        return not self._ready and self._position == len(self._buffer) and not self._expected

    def feed(self, data):
        """Add bytes (bytes, bytearray or memoryview), in pieces of any size."""
        super().feed(data)
        self._fresh = self.trusted

    def next(self):
        """The next whole command as a list of bytes, its name first; None until more is fed.

        Raises:
            ProtocolError: the bytes are not RESP or break a limit.  For good: see Incoming.
        Cost: about 1 us for a short command of three words.
        """
        if self._ready:
            return self._ready.pop()
        if self._failure:
            self._raise_failure()
        if self._missing:
            return None
        if not self._expected:
            if self._fresh and self._split_commands():
                return self._ready.pop()
            if not self._begin_command():
                return None
        if self._collected:
            self._arguments.append(self._take_collected())
            self._expected -= 1
        if not self._read_arguments():
            return None
        arguments = self._arguments
        self._arguments = []
        return arguments

    def take_alike(self, data):
        """Take what was received, in the place of feed(), where it is short commands of one size and name, all whole.

        (the words of the first command, columns, count): the first arguments of all, the second ones, and so on; no
        columns for one command.  None where anything differs, and the bytes were not taken.
        """
        if self._position != len(self._buffer) or self._expected or self._missing or self._ready or not self.trusted:
            return None
        lines = data.split(CRLF)
        size = COUNTS.get(lines[0])
        if size is None or lines[-1] or self._failure:
            return None
        period = 2 * size + 1
        if len(lines) <= period + 1:
            if len(lines) <= period:
                return None
            words = lines[2::2]
            if list(map(LENGTHS.get, lines[1:-1:2])) != list(map(len, words)):
                return None
            return words, [], 1
        count, rest = divmod(len(lines) - 1, period)
        name = lines[2]
        if (rest or count > ALIKE_MAX or lines[::period].count(lines[0]) != count
                or lines[2::period].count(name) != count or lines[1::period].count(b"$%d" % len(name)) != count):
            return None
        columns = []
        for index in range(3, period, 2):
            headers, column = lines[index::period], lines[index + 1::period]
            length = headers[0]
            if headers.count(length) == count:
                if set(map(len, column)) != {LENGTHS.get(length)}:
                    return None
            elif list(map(LENGTHS.get, headers)) != list(map(len, column)):
                return None
            columns.append(column)
        return lines[2:period:2], columns, count

    def give_back(self, commands):
        """Have commands again that were taken, as a list with the first of them last."""
        self._ready = commands

    def short_commands(self):
        """The whole short commands that come next, as a list with the first of them last, for the caller to take away
        what it has done; where it is empty next() knows more.  Cost: 0.3 us for each of several commands of one kind.
        """
        if not self._ready and self._fresh and not (self._expected or self._missing or self._failure):
            self._split_commands()
        return self._ready

    def _fail(self, reason):
        self._arguments = []
        self._expected = 0
        return super()._fail(reason)

    def _split_commands(self):
        """The fast way: make the whole short commands at the front of the buffer ready; whether there are any.

        Tried once for each feed: where it has to stop, the exact way does the rest, and a sender who makes it stop at
        each command cannot have the buffer split again and again.
        """
        self._fresh = False
        buffer = self._buffer[self._position:] if self._position else self._buffer
        lines = buffer.split(CRLF)
        index, last, commands = 0, len(lines) - 1, []
        if lines[0] in COUNTS:
            commands, index = _alike(lines, COUNTS[lines[0]])
        while index < last:
            count = COUNTS.get(lines[index])
            if count is None:
                break
            following = index + 1 + 2 * count
            # Behind the last argument's CRLF comes another line, be it empty.
            if following > last:
                break
            arguments = lines[index + 2:following:2]
            if list(map(LENGTHS.get, lines[index + 1:following:2])) != list(map(len, arguments)):
                break
            commands.append(arguments)
            index = following
        if not commands:
            return False
        self._position += sum(map(len, lines[:index])) + 2 * index
        commands.reverse()
        self._ready = commands
        return True

    def _begin_command(self):
        """Read `*count`; False where it is not there yet."""
        while True:
            self._skip_bells()
            buffer, position = self._buffer, self._position
            if position == len(buffer):
                return False
            if buffer[position] != _STAR:
                if not self._take_line():
                    return False
                if self._arguments:
                    return True
                continue
            end = buffer.find(CRLF, position, position + HEADER_BYTES_MAX)
            negative = buffer[position + 1:position + 2] == b"-"
            if end < 0:
                self._check_begun("invalid multibulk length", negative)
                return False
            count = resp_incoming.checked_number(buffer[position + 1 + negative:end],
                                                 _NEGATIVE_MAX if negative else limits.RESP_ARGUMENTS_MAX)
            if count is None or negative and not count:
                raise self._fail("invalid multibulk length")
            if negative:
                count = 0
            if not self.trusted and count > limits.STRANGER_ARGUMENTS_MAX:
                raise self._fail("unauthenticated multibulk length")
            self._position = end + 2
            if count:
                self._expected = count
                self._room_bytes = (limits.QUERY_BUFFER_BYTES_MAX if self.trusted
                                    else limits.STRANGER_COMMAND_BYTES_MAX)
                return True

    def _take_line(self):
        """Read an inline command into the arguments, none if the line is empty; False where its end is not there."""
        buffer, position = self._buffer, self._position
        if not self.inline and buffer[position] in _ENDS_LINE:
            return self._take_empty_line()
        if buffer[position] not in _BEGINS_LINE or not self.inline:
            raise self._fail("expected '*', got %s%s" % (
                _shown(buffer[position]), "" if self.inline else "; inline commands are not accepted here"))
        end = buffer.find(b"\n", position, position + limits.RESP_INLINE_BYTES_MAX)
        if end < 0:
            if len(buffer) - position >= limits.RESP_INLINE_BYTES_MAX:
                raise self._fail("too big inline request")
            return False
        words = resp_inline.words_of(buffer[position:end])
        if words is None:
            raise self._fail("unbalanced quotes in request")
        if words and resp_inline.is_http(words):
            raise self._fail("HTTP is not spoken here")
        self._position = end + 1
        self._arguments = words
        return True

    def _take_empty_line(self):
        """Read past an empty line, which redis-cli --pipe sends before its last command; as _take_line."""
        buffer, position = self._buffer, self._position
        if buffer[position] == _CR:
            if len(buffer) - position < 2:
                return False
            position += 1
            if buffer[position] != _LF:
                raise self._fail("expected LF after CR, got %s" % _shown(buffer[position]))
        self._position = position + 1
        self._arguments = []
        return True

    def _read_arguments(self):
        """Read the arguments still expected, as far as they are there; whether that was all."""
        buffer, position, expected = self._buffer, self._position, self._expected
        room_bytes, size_bytes = self._room_bytes, len(buffer)
        append, find = self._arguments.append, buffer.find
        while expected:
            end = find(CRLF, position, position + HEADER_BYTES_MAX)
            if end < 0 or buffer[position] != _DOLLAR:
                break
            token = buffer[position + 1:end]
            length = SMALL_NUMBERS.get(token)
            if length is None:
                length = self._checked_length(token)
            room_bytes -= length + _ARGUMENT_OVERHEAD_BYTES
            if room_bytes < 0:
                raise self._fail("a command of more than %d bytes" % (
                    limits.QUERY_BUFFER_BYTES_MAX if self.trusted else limits.STRANGER_COMMAND_BYTES_MAX))
            start = end + 2
            stop = start + length
            if stop + 2 > size_bytes:
                self._position, self._expected, self._room_bytes = start, expected, room_bytes
                self._collect(length + 2)
                return False
            if buffer[stop:stop + 2] != CRLF:
                raise self._fail("a bulk string must end with CRLF")
            append(buffer[start:stop])
            position = stop + 2
            expected -= 1
        self._position, self._expected, self._room_bytes = position, expected, room_bytes
        if position == size_bytes and not self.trusted:  # whoever is not known gets no more memory than he needs
            self._buffer, self._position = b"", 0
        if expected:
            self._check_argument_begun()
        return expected == 0

    def _checked_length(self, token):
        length = resp_incoming.checked_number(token, limits.RESP_ARGUMENT_BYTES_MAX)
        if length is None:
            raise self._fail("invalid bulk length")
        if not self.trusted and length > limits.STRANGER_ARGUMENT_BYTES_MAX:
            raise self._fail("unauthenticated bulk length")
        return length

    def _check_argument_begun(self):
        """Whatever stands where an argument should begin, and is not a whole header, must be able to become one."""
        if self._position < len(self._buffer):
            if self._buffer[self._position] != _DOLLAR:
                raise self._fail("expected '$', got %s" % _shown(self._buffer[self._position]))
            self._check_begun("invalid bulk length")

    def _check_begun(self, reason, negative=False):
        begun = self._buffer[self._position + 1 + negative:self._position + HEADER_BYTES_MAX]
        if not resp_incoming.may_become_header(begun):
            raise self._fail(reason)

    def _skip_bells(self):
        buffer, position, size_bytes = self._buffer, self._position, len(self._buffer)
        while position < size_bytes and buffer[position] == BELL_BYTE:
            position += 1
        self.bells += position - self._position
        self._position = position


def _alike(lines, count):
    """The commands of so many arguments that all these lines are, and how many lines; none unless all are alike.

    Two loops in C for each argument instead of one for each command.
    """
    period = 2 * count + 1
    commands, rest = divmod(len(lines) - 1, period)
    if rest or commands < 2 or lines[-1] or lines[::period].count(lines[0]) != commands:
        return [], 0
    columns = [lines[index::period] for index in range(2, period, 2)]
    for index, column in enumerate(columns):
        if list(map(LENGTHS.get, lines[2 * index + 1::period])) != list(map(len, column)):
            return [], 0
    return list(map(list, zip(*columns))), commands * period


def _shown(byte):
    """A byte for a message: itself where it is printable, else its number."""
    return "'%c'" % byte if 32 <= byte < 127 else "byte 0x%02x" % byte


def encode_command(*arguments):
    """The bytes of one command, each argument a bulk string: nothing in it can be taken for protocol.

    Args:
        arguments: bytes, bytearray, memoryview, str (sent as UTF-8) or int (sent in decimal).
    Raises:
        TypeError: an argument of another type, bool included (is it "1" or "true"?).

    >>> encode_command("GET", b"k")
    b'*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n'
    """
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        kind = type(argument)
        if kind is str:
            argument = argument.encode("utf-8")
        elif kind is int:
            argument = b"%d" % argument
        elif kind is memoryview:
            argument = argument.tobytes()
        elif not isinstance(argument, (bytes, bytearray)):
            raise TypeError("a command argument must be bytes, str or int, not %s" % kind.__name__)
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)
