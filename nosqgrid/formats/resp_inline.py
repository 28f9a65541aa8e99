"""Inline commands: a line of words, for people who type at a socket and for probes (`PING` and a newline).

    line    := word (space+ word)*  [CR] LF        at most RESP_INLINE_BYTES_MAX
    word    := (plain | "double" | 'single')+      a closing quote stands before a space or the end of the line

Within double quotes \\n, \\r, \\t, \\b, \\a are those bytes, \\xHH any byte, and \\ before another byte stands for that
byte; within single quotes only \\' is special.

A web page can have a browser send HTTP to any port of the machine it runs on, with lines of the page's own in the body.
So what looks like HTTP is never a command, as in Redis: its first line, or a Host: header, ends the connection.

Source: the documentation of Redis' protocol; the rules of quoting as redis-server 7.0.15 shows them.
"""

SPACES = b" \t\n\r\x0b\x0c"
_SPACE_BYTES = frozenset(SPACES)
_QUOTES = frozenset(b"\"'")
_ESCAPES = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("b"): b"\b", ord("a"): b"\a"}
_HEX = frozenset(b"0123456789abcdefABCDEF")
_QUOTE, _SINGLE_QUOTE, _BACKSLASH, _X = b"\"'\\x"


def words_of(line):
    """The words of a line (bytes, without its newline); None where quotes are not balanced.

    >>> words_of(b'set k "a b\\\\x00"')
    [b'set', b'k', b'a b\\x00']
    """
    if not _QUOTES & set(line):
        return line.split()
    words, position = [], 0
    while position < len(line):
        if line[position] in _SPACE_BYTES:
            position += 1
            continue
        word, position = _word_at(line, position)
        if word is None:
            return None
        words.append(word)
    return words


def is_http(words):
    """Whether the words of a line are a line of HTTP that no command can be."""
    return words[0].lower() in (b"post", b"host:") or len(words) == 3 and words[2].startswith(b"HTTP/")


def _word_at(line, position):
    """(word, position behind it); (None, any) where it is not closed as it must be."""
    word = bytearray()
    while position < len(line) and line[position] not in _SPACE_BYTES:
        byte = line[position]
        position += 1
        if byte not in _QUOTES:
            word.append(byte)
            continue
        quoted, position = (_double_quoted if byte == _QUOTE else _single_quoted)(line, position)
        if quoted is None or position < len(line) and line[position] not in _SPACE_BYTES:
            return None, position
        word += quoted
    return bytes(word), position


def _single_quoted(line, position):
    quoted = bytearray()
    while position < len(line):
        byte = line[position]
        position += 1
        if byte == _SINGLE_QUOTE:
            return quoted, position
        if byte == _BACKSLASH and line[position:position + 1] == b"'":
            byte = _SINGLE_QUOTE
            position += 1
        quoted.append(byte)
    return None, position


def _double_quoted(line, position):
    quoted = bytearray()
    while position < len(line):
        byte = line[position]
        position += 1
        if byte == _QUOTE:
            return quoted, position
        if byte == _BACKSLASH and position < len(line):
            escaped, position = _escaped(line, position)
            quoted += escaped
        else:
            quoted.append(byte)
    return None, position


def _escaped(line, position):
    """What stands behind a backslash, and the position behind that."""
    byte = line[position]
    digits = line[position + 1:position + 3]
    if byte == _X and len(digits) == 2 and _HEX.issuperset(digits):
        return bytes((int(digits, 16),)), position + 3
    return _ESCAPES.get(byte, bytes((byte,))), position + 1
