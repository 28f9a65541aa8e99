"""An asyncio client attached to a grid: reads of shared memory wait for nobody, so that they are done at once."""

from .. import attached
from ..attached import address_of

__all__ = ["Attached", "address_of"]


class Attached(attached.Attached):
    """See attached.Attached; nothing goes over the lane, which would keep the event loop waiting."""

    def begin(self, client):
        """Give a client its short ways to shared memory."""
        if self.usable:
            client.get, client.mget = _awaitable(self.get), _awaitable(self.mget)
            client.strlen, client.exists = _awaitable(self.strlen), _awaitable(self.exists)


def _awaitable(function):
    async def call(*args, **kwargs):
        return function(*args, **kwargs)
    return call
