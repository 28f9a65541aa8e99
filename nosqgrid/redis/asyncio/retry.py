"""Trying again, while others go on."""

import asyncio

from ..exceptions import ConnectionError, TimeoutError
from ..retry import BaseRetry


class Retry(BaseRetry):
    """See retry.BaseRetry."""

    default_errors = (ConnectionError, TimeoutError)

    async def call_with_retry(self, do, fail):
        """await do(); when it raises one of the errors await fail(error), which may raise to end it, and again."""
        self._backoff.reset()
        failures = 0
        while True:
            try:
                return await do()
            except self._supported_errors as error:
                failures += 1
                await fail(error)
                pause_s = self._pause(failures, error)
            if pause_s > 0:
                await asyncio.sleep(pause_s)
