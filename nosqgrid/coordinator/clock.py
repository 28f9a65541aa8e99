"""The two clocks.  Everything inside is judged by the monotonic one; the wall clock only translates EXPIREAT."""

import time


class Clock(object):
    """Milliseconds, as ints.  The monotonic clock is the same for all processes of a machine, and does not jump."""

    @staticmethod
    def monotonic_ms():
        return int(time.monotonic() * 1000)

    @staticmethod
    def monotonic_us():
        """The same in microseconds, for how long something took."""
        return int(time.monotonic() * 1000000)

    @staticmethod
    def wall_ms():
        return int(time.time() * 1000)

    @staticmethod
    def local(seconds):
        """The fields of a time (seconds since 1970) as the clock on the wall shows it here; cron rules mean these."""
        return time.localtime(seconds)
