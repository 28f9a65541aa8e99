"""CRC-64 as Redis has it behind its dumps: polynomial of Jones, reflected, beginning with 0.

Two bytes at a time, over a table of 65536 numbers that is made when it is used first (some 40 ms, 2.5 MB).  Cost: some
60 ns a byte.
"""

import sys

_POLYNOMIAL = 0x95ac9329ac4bc9b5  # reflected
_SHORT = 512  # bytes for which the small table will do
_NATIVE = sys.byteorder == "little"


def _byte_table():
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (_POLYNOMIAL if number & 1 else 0)
        table.append(number)
    return table


_BYTES = _byte_table()
_PAIRS = []


def _fill_pairs():
    for number in range(1 << 16):
        after_one = _BYTES[number & 255] ^ number >> 8
        _PAIRS.append(_BYTES[after_one & 255] ^ after_one >> 8)


def crc64(data):
    """The checksum of some bytes.

    >>> "%x" % crc64(b"123456789")
    'e9c6d914c4b8d9ca'
    """
    crc, size = 0, len(data)
    if size > _SHORT and _NATIVE:
        if not _PAIRS:
            _fill_pairs()
        pairs, even = _PAIRS, size & ~1
        for pair in memoryview(data)[:even].cast("H"):
            crc = pairs[crc & 0xffff ^ pair] ^ crc >> 16
        data = data[even:]
    table = _BYTES
    for byte in bytes(data):
        crc = table[crc & 255 ^ byte] ^ crc >> 8
    return crc
