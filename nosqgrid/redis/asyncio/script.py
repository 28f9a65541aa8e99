"""Scripts for asyncio."""

from ..exceptions import NoScriptError
from ..script import BaseScript


class Script(BaseScript):
    """await script(keys=[...], args=[...]) runs it; with client=pipeline it is queued, and loaded before the rest runs.
    """

    async def __call__(self, keys=(), args=(), client=None):
        client = self.registered_client if client is None else client
        words = self._words(keys, args)
        scripts = getattr(client, "scripts", None)
        if scripts is not None:
            scripts.add(self)
        try:
            return await client.evalsha(self.sha, *words)
        except NoScriptError:
            return await client.eval(self.script, *words)
