"""TLS for connections by TCP: version 1.2 or later, and a socket that behaves as a plain one that does not block.

The handshake takes several messages, and whoever is at the other end may take as long as he likes between them; so it
is done step by step, whenever the loop finds the socket ready.

Invariants
 1. No call waits.  What would have to wait raises BlockingIOError, or says for what (handshake).
 2. What send() could not take is passed again by the next call, perhaps with more behind it: a record that has begun
    has to be finished with the same bytes.
"""

import contextlib
import selectors
import ssl

from ..errors import StartError

_OLD = ("OP_NO_SSLv2", "OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1")  # before Python 3.7 there is no minimum_version
_STRICT = ("OP_NO_COMPRESSION", "OP_NO_RENEGOTIATION", "OP_SINGLE_ECDH_USE", "OP_CIPHER_SERVER_PREFERENCE")


def make_context(certificate_path, key_path, ca_path=None):
    """An ssl.SSLContext for servers; with `ca_path` clients need a certificate that one of those has signed.

    Raises StartError where the files are not what they should be; the message says which.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if hasattr(context, "minimum_version"):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    else:
        for name in _OLD:
            context.options |= getattr(ssl, name)
    for name in _STRICT:
        context.options |= getattr(ssl, name, 0)
    try:
        context.load_cert_chain(certificate_path, key_path, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise StartError("cannot use the certificate %s with the key %s: %s; --tls-cert and --tls-key name two files "
                         "in the PEM format that belong together" % (certificate_path, key_path, error)) from error
    if ca_path is not None:
        try:
            context.load_verify_locations(ca_path)
        except (OSError, ValueError) as error:
            raise StartError("cannot use %s to check the certificates of clients: %s; --tls-ca names a file in the PEM "
                             "format" % (ca_path, error)) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_passphrase():
    # Without this OpenSSL asks at the terminal, and a coordinator in the background has none.
    raise ValueError("the key is protected by a passphrase, which nobody is there to type: take it off")


class TlsSocket(object):
    """An accepted connection: recv, send, fileno, close and getsockname of a socket that does not block.

    handshake() comes first, until it says that nothing is missing.  Its own errors are OSErrors (ssl.SSLError is one).
    """

    def __init__(self, context, sock):
        self._sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._ready = False
        self.fileno = self._sock.fileno
        self.getsockname = self._sock.getsockname

    def handshake(self):
        """Go on with it: 0 when it is done, or what to wait for, selectors.EVENT_READ or EVENT_WRITE.

        Raises OSError where it has failed.
        """
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            return selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE
        except ValueError as error:  # the other end has gone before it began
            raise ConnectionResetError(str(error)) from error
        self._ready = True
        return 0

    def recv(self, size_bytes):
        """Up to so many bytes, b"" at the end; BlockingIOError where there are none."""
        try:
            return self._sock.recv(size_bytes)
        except ssl.SSLWantReadError:
            raise BlockingIOError() from None
        # SSLWantWriteError, an OSError, ends the session: the other end wants new keys and does not read our part.

    def send(self, data, flags=0):
        """How many bytes were taken; BlockingIOError where none were."""
        rest, sent = memoryview(data), 0
        try:
            while sent < len(rest):
                sent += self._sock.send(rest[sent:])  # a record, 16 KiB, each time
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if not sent:
                raise BlockingIOError() from None
        return sent

    def close(self):
        """Say that it ends, as far as that can be said at once, and close it."""
        if self._ready:
            with contextlib.suppress(OSError, ValueError):  # the other end may be gone, or not read
                self._sock.unwrap()
        self._sock.close()
