"""URLs of servers: parse_url(url) -> keyword arguments of a connection pool.

    redis://  valkey://                    [[user]:password@]host[:port][/db][?option=value]
    rediss:// valkeys://                   the same over TLS
    unix://   redis+unix://  redis-socket://   [[user]:password@]/path/of/socket[?db=0]
    nosqgrid://                            the socket of a grid, which is attached to (attached.py)
"""

from urllib.parse import parse_qs, unquote, urlparse

TCP_SCHEMES = ("redis", "valkey")
TLS_SCHEMES = ("rediss", "valkeys")
UNIX_SCHEMES = ("unix", "redis+unix", "redis-socket", "valkey+unix")
GRID_SCHEME = "nosqgrid"
SCHEMES = TCP_SCHEMES + TLS_SCHEMES + UNIX_SCHEMES + (GRID_SCHEME,)

_FALSE_TEXTS = ("0", "F", "FALSE", "N", "NO")


def to_bool(value):
    """A truth value from a text; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.upper() in _FALSE_TEXTS:
        return False
    return bool(value)


def _names(value):
    """Exceptions by their names, as retry_on_error in a URL has them."""
    from . import exceptions
    return [getattr(exceptions, name.strip()) for name in value.split(",")]


_CONVERTERS = {
    "db": int, "socket_timeout": float, "socket_connect_timeout": float, "socket_keepalive": to_bool,
    "retry_on_timeout": to_bool, "max_connections": int, "health_check_interval": int, "ssl_check_hostname": to_bool,
    "timeout": float, "protocol": int, "decode_responses": to_bool, "single_connection_client": to_bool,
    "retry_on_error": _names,
}


def parse_url(url, classes):
    """The keyword arguments that a URL stands for.

    `classes` are the connection classes (TCP, TLS, Unix).  Raises ValueError for a scheme that there is not, or a value
    that its option does not take.
    """
    parts = urlparse(url)
    if parts.scheme not in SCHEMES or not url.startswith(parts.scheme + "://"):
        raise ValueError("Redis URL must specify one of the following schemes (%s)"
                         % ", ".join("%s://" % scheme for scheme in SCHEMES))
    found = _options(parts.query)
    if parts.username:
        found["username"] = unquote(parts.username)
    if parts.password:
        found["password"] = unquote(parts.password)
    if parts.scheme in UNIX_SCHEMES or parts.scheme == GRID_SCHEME:
        if parts.path:
            found["path"] = unquote(parts.path)
        found["connection_class"] = classes[2]
        return found
    _add_server(found, parts)
    if parts.scheme in TLS_SCHEMES:
        found["connection_class"] = classes[1]
    return found


def is_grid(url):
    """Whether a URL asks to attach to a grid."""
    return url.startswith(GRID_SCHEME + "://")


def _options(query):
    found = {}
    for name, values in parse_qs(query).items():
        value = unquote(values[0])
        converter = _CONVERTERS.get(name)
        if converter is None:
            found[name] = value
            continue
        try:
            found[name] = converter(value)
        except (TypeError, ValueError, AttributeError):
            raise ValueError("Invalid value for `%s` in connection URL." % name) from None
    return found


def _add_server(found, parts):
    if parts.hostname:
        found["host"] = unquote(parts.hostname)
    if parts.port:
        found["port"] = int(parts.port)
    if parts.path and "db" not in found:
        digits = unquote(parts.path).replace("/", "")
        if digits.isdigit():
            found["db"] = int(digits)
