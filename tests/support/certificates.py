"""Certificates for tests, made by the openssl command once in a process: text by name.

    ca.crt                          the authority that has signed these two:
    server.crt, server.key          for localhost
    client.crt, client.key
    other.crt, other.key            signed by itself: an authority that nobody knows, for localhost too
"""

import os
import shutil
import subprocess
import tempfile

OPENSSL = shutil.which("openssl")
_EXTENSIONS = ("subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature\n"
               "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
_made = {}


def certificates():
    """{file name: PEM text}; needs OPENSSL."""
    if not _made:
        directory = tempfile.mkdtemp(prefix="nq")
        try:
            _make_all(directory)
            for name in os.listdir(directory):
                with open(os.path.join(directory, name)) as file:
                    _made[name] = file.read()
        finally:
            shutil.rmtree(directory)
    return _made


def _make_all(directory):
    def run(*words):
        subprocess.check_call((OPENSSL,) + words, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)

    with open(os.path.join(directory, "extensions"), "w") as file:
        file.write(_EXTENSIONS)
    for name in ("ca", "server", "client", "other"):
        run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".key")
    for name in ("ca", "other"):
        # OpenSSL's own configuration makes it an authority; Python 3.13 wants to know what its key may be used for.
        run("req", "-x509", "-new", "-key", name + ".key", "-out", name + ".crt", "-days", "3650", "-subj",
            "/CN=" + ("nosqgrid test authority" if name == "ca" else "localhost"), "-addext",
            "keyUsage=critical,keyCertSign,digitalSignature")
    for number, name in enumerate(("server", "client")):
        run("req", "-new", "-key", name + ".key", "-out", name + ".csr", "-subj", "/CN=localhost")
        run("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-set_serial", str(number + 1),
            "-out", name + ".crt", "-days", "3650", "-extfile", "extensions")
