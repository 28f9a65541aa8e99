"""How long to wait before trying again: compute(failures) -> seconds."""

import random

DEFAULT_CAP = 0.512
DEFAULT_BASE = 0.008


class AbstractBackoff(object):
    """What a Retry asks for a pause; reset() when a call begins."""

    def reset(self):
        """Forget earlier failures."""

    def compute(self, failures):
        """The seconds to wait after so many failures, counted from 1."""
        raise NotImplementedError("a backoff defines compute")


class ConstantBackoff(AbstractBackoff):
    """Always the same pause."""

    def __init__(self, backoff):
        self._backoff = backoff

    def compute(self, failures):
        return self._backoff


class NoBackoff(ConstantBackoff):
    """No pause."""

    def __init__(self):
        super().__init__(0)


class _Growing(AbstractBackoff):
    """`cap` and `base` in seconds."""

    def __init__(self, cap=DEFAULT_CAP, base=DEFAULT_BASE):
        self._cap = cap
        self._base = base

    def _doubled(self, failures):
        return min(self._cap, self._base * 2 ** failures)


class ExponentialBackoff(_Growing):
    """Twice as long each time."""

    def compute(self, failures):
        return self._doubled(failures)


class FullJitterBackoff(_Growing):
    """Anything up to twice as long each time."""

    def compute(self, failures):
        return random.uniform(0, self._doubled(failures))


class EqualJitterBackoff(_Growing):
    """Half of twice as long each time, and anything up to the other half."""

    def compute(self, failures):
        half = self._doubled(failures) / 2
        return half + random.uniform(0, half)


class DecorrelatedJitterBackoff(_Growing):
    """Anything from the base to three times the pause before."""

    def __init__(self, cap=DEFAULT_CAP, base=DEFAULT_BASE):
        super().__init__(cap, base)
        self._previous = 0

    def reset(self):
        self._previous = 0

    def compute(self, failures):
        longest = max(self._base, self._previous * 3)
        self._previous = min(self._cap, random.uniform(self._base, longest))
        return self._previous


def default_backoff():
    """The backoff to take where there is no reason for another."""
    return EqualJitterBackoff()
