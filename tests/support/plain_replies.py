"""Replies as plain Python objects, for tables of commands and what they answer.

Bulk strings are str, integers int, arrays lists, maps dicts, null is None and the null array "*-1" (None in RESP3);
simple strings and errors keep their first byte.
"""


def plain(reply):
    """The object that the bytes of one reply stand for."""
    value, end = _plain(reply, 0)
    if end != len(reply):
        raise ValueError("more than one reply: %r" % reply)
    return value


def _plain(data, position):
    end = data.index(b"\r\n", position)
    kind, rest = data[position:position + 1], data[position + 1:end]
    end += 2
    if kind in (b"+", b"-"):
        return (kind + rest).decode("utf-8"), end
    if kind == b"_":
        return None, end
    number = int(rest)
    if kind == b":":
        return number, end
    if kind == b"$":
        return (None, end) if number < 0 else (data[end:end + number].decode("utf-8"), end + number + 2)
    if number < 0:
        return "*-1", end
    items = []
    for _ in range(number * (2 if kind == b"%" else 1)):
        item, end = _plain(data, end)
        items.append(item)
    return dict(zip(items[::2], items[1::2])) if kind == b"%" else items, end
