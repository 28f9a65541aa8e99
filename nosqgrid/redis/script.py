"""Scripts that a client has registered; calling one runs it by its SHA1, and sends it where the server lacks it."""

import hashlib

from .exceptions import NoScriptError


class BaseScript(object):
    """A script and its SHA1; `registered_client` runs it unless a call names another."""

    def __init__(self, registered_client, script):
        self.registered_client = registered_client
        self.script = script
        encoded = registered_client.get_encoder().encode(script) if isinstance(script, str) else script
        self.sha = hashlib.sha1(encoded).hexdigest()

    def _words(self, keys, args):
        return (len(keys),) + tuple(keys) + tuple(args or ())


class Script(BaseScript):
    """script(keys=[...], args=[...]) runs it; with client=pipeline it is queued, and loaded before the rest runs."""

    def __call__(self, keys=(), args=(), client=None):
        client = self.registered_client if client is None else client
        words = self._words(keys, args)
        scripts = getattr(client, "scripts", None)
        if scripts is not None:
            scripts.add(self)
        try:
            return client.evalsha(self.sha, *words)
        except NoScriptError:
            return client.eval(self.script, *words)
