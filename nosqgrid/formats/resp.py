"""RESP, the protocol of Redis: every public name of the three modules that speak it.

    resp_request    Parser, encode_command                      commands: arrays of bulk strings and nothing else
    resp_reply      encode_reply, Simple, Map, Set, ...          replies from Python objects, RESP2 and RESP3
    resp_reader     ReplyReader, NEED_MORE                       replies back into Python objects, RESP2 and RESP3

Import from here; how the modules are cut may change.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from .resp_incoming import BELL, BELL_BYTE
from .resp_reader import NEED_MORE, ReplyReader
from .resp_reply import (
    NULL_ARRAY, OK, Boolean, Double, LongDouble, Map, Push, Set, Simple, Verbatim, double_text, encode_error,
    encode_reply)
from .resp_request import Parser, encode_command

__all__ = [
    "BELL", "BELL_BYTE", "NEED_MORE", "NULL_ARRAY", "OK", "Boolean", "Double", "LongDouble", "Map", "Parser", "Push",
    "ReplyReader", "Set", "Simple", "Verbatim", "double_text", "encode_command", "encode_error", "encode_reply"]
