"""Trying again: which errors, how often, and with what pause."""

import socket
import time

from .exceptions import ConnectionError, TimeoutError


class BaseRetry(object):
    """`retries` further attempts (-1: without end) where one of `supported_errors` is raised."""

    default_errors = (ConnectionError, TimeoutError, socket.timeout)

    def __init__(self, backoff, retries, supported_errors=None):
        self._backoff = backoff
        self._retries = retries
        self._supported_errors = self.default_errors if supported_errors is None else tuple(supported_errors)

    def update_supported_errors(self, specified_errors):
        """Try again on these errors as well."""
        self._supported_errors = tuple(dict.fromkeys(self._supported_errors + tuple(specified_errors)))

    def _pause(self, failures, error):
        """The seconds to wait after a failure, of which there were so many; raises it where they are too many."""
        if 0 <= self._retries < failures:
            raise error
        return self._backoff.compute(failures)

    def __copy__(self):
        return type(self)(self._backoff, self._retries, self._supported_errors)

    def __deepcopy__(self, memo):
        return self.__copy__()


class Retry(BaseRetry):
    """Trying again where nothing but this thread waits."""

    def call_with_retry(self, do, fail):
        """do(); when it raises one of the errors fail(error), which may raise to end it, and after a pause again."""
        self._backoff.reset()
        failures = 0
        while True:
            try:
                return do()
            except self._supported_errors as error:
                failures += 1
                fail(error)
                pause_s = self._pause(failures, error)
            if pause_s > 0:
                time.sleep(pause_s)
