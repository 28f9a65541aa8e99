"""How a grid turns values into bytes: by the types of formats/values alone, or with pickle for all others.

A codec has `encoders`, {type: function(value) -> (value type, payload)} for what is copied into a payload anyway;
encode(value, raw_key); encode_parts(value, raw_key), which copies no buffer; decode(value type, payload, raw_key);
`decoders` by value type, of bytes, and decode_any(value type, payload) of any buffer, for values that are no pickles.
"""

import os

from ..errors import PermissionRefusedError, UnsupportedTypeError, UsageError
from ..formats import values
from ..network import credentials

PICKLE = "pickle"


class TypedCodec(object):
    """The types that the grid carries: nothing else is stored, and nothing is ever unpickled."""

    name = None
    encoders = values.PLAIN_ENCODERS
    loads = None
    decoders = values.DECODERS
    decode_any = staticmethod(values.decode)

    def check_peer(self, sock):
        """Whoever serves will do: nothing that he could send is more than data."""

    def encode(self, value, raw_key):
        return values.encode(value)

    def encode_parts(self, value, raw_key):
        return values.encode_parts(value)

    def decode(self, value_type, payload, raw_key):
        return values.decode(value_type, payload)


class PickleCodec(object):
    """The same, and a signed pickle for everything that they do not cover (client/pickled).

    Making one reads or makes the key file of this user.
    """

    name = PICKLE
    encoders = {}
    decoders = values.DECODERS
    decode_any = staticmethod(values.decode)

    def __init__(self):
        from . import pickled  # here alone: who does not ask for pickle does not import it
        self._pickled = pickled
        self._secret = pickled.load_key()

    def check_peer(self, sock):
        """Refuse a coordinator of another user, who could put old pickles of this one in new places."""
        _, uid, _ = credentials.peer(sock)
        if uid != os.getuid():
            raise PermissionRefusedError("codec=\"pickle\" is for a grid of this user; %d serves this one" % uid)

    def encode(self, value, raw_key):
        value_type, parts = self.encode_parts(value, raw_key)
        return value_type, parts[0] if len(parts) == 1 and type(parts[0]) is bytes else b"".join(parts)

    def encode_parts(self, value, raw_key):
        try:
            return values.encode_parts(value)
        except UnsupportedTypeError:
            return values.PICKLE, self._pickled.dumps(value, raw_key, self._secret)

    def decode(self, value_type, payload, raw_key):
        if value_type == values.PICKLE:
            return self.loads(payload, raw_key)
        return values.decode(value_type, payload)

    def loads(self, payload, raw_key):
        """The value of a signed pickle that lies under raw_key."""
        return self._pickled.loads(payload, raw_key, self._secret)


def codec_of(name):
    """The codec that attach() was asked for; an object that has its methods is taken as it is."""
    if name is None:
        return TypedCodec()
    if name == PICKLE:
        return PickleCodec()
    raise UsageError("codec=%r: there are None, for the types that the grid carries, and \"pickle\", for all others "
                     "too" % (name,))
