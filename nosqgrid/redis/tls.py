"""Options of TLS, for sync and asyncio connections."""

import ssl

from .exceptions import RedisError

_REQUIREMENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class TlsSettings(object):
    """Takes what begins with ssl_ out of the keyword arguments of a connection.

    ssl_keyfile, ssl_certfile, ssl_password: of the client.  ssl_cert_reqs: "required", "optional", "none" or a constant
    of the ssl module.  ssl_ca_certs, ssl_ca_path, ssl_ca_data: who is trusted.  ssl_check_hostname, ssl_ciphers,
    ssl_min_version.  There is no OCSP in the standard library: asking for it raises RedisError.
    """

    def __init__(self, kwargs):
        take = kwargs.pop
        self.keyfile, self.certfile = take("ssl_keyfile", None), take("ssl_certfile", None)
        self.certificate_password = take("ssl_password", None)
        self.cert_reqs = _requirement(take("ssl_cert_reqs", "required"))
        self.ca_certs, self.ca_path = take("ssl_ca_certs", None), take("ssl_ca_path", None)
        self.ca_data = take("ssl_ca_data", None)
        self.check_hostname = take("ssl_check_hostname", False)
        self.ssl_min_version, self.ssl_ciphers = take("ssl_min_version", None), take("ssl_ciphers", None)
        for name in ("ssl_validate_ocsp", "ssl_validate_ocsp_stapled", "ssl_ocsp_context", "ssl_ocsp_expected_cert"):
            if take(name, None):
                raise RedisError("%s is not supported: the standard library has no OCSP" % name)

    def context(self):
        """The ssl.SSLContext of these options."""
        context = ssl.create_default_context()
        context.check_hostname = bool(self.check_hostname) and self.cert_reqs != ssl.CERT_NONE
        context.verify_mode = self.cert_reqs
        if self.certfile or self.keyfile:
            context.load_cert_chain(self.certfile, self.keyfile, self.certificate_password)
        if self.ca_certs is not None or self.ca_path is not None or self.ca_data is not None:
            context.load_verify_locations(self.ca_certs, self.ca_path, self.ca_data)
        if self.ssl_min_version is not None:
            context.minimum_version = self.ssl_min_version
        if self.ssl_ciphers:
            context.set_ciphers(self.ssl_ciphers)
        return context


def _requirement(value):
    if value is None:
        return ssl.CERT_NONE
    if isinstance(value, str):
        if value not in _REQUIREMENTS:
            raise RedisError("Invalid SSL Certificate Requirements Flag: %s" % value)
        return _REQUIREMENTS[value]
    return value
