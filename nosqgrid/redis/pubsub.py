"""Subscribers: a connection that messages come over."""

import threading
import time

from .exceptions import PubSubError
from .subscriptions import Subscriptions

_CLEANING_TRIES = 10


class PubSub(Subscriptions):
    """A subscriber, for one thread at a time.

        with client.pubsub() as p:
            p.subscribe("news", alarm=handler)      # messages of "alarm" go to handler(message)
            for message in p.listen():              # {"type", "pattern", "channel", "data"}
                ...

    A connection that is lost is made anew by the next call, and subscribes again; messages between are lost.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.subscribed_event = threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.reset()

    def __del__(self):
        if getattr(self, "connection", None) is not None:
            self.reset()

    def reset(self):
        """End all subscriptions, and the connection."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.disconnect()
            connection.deregister_connect_callback(self.on_connect)
            self.connection_pool.release(connection)
        self._clear()
        self.subscribed_event.clear()

    def close(self):
        """reset()."""
        self.reset()

    @property
    def subscribed(self):
        """Whether there are subscriptions."""
        return self.subscribed_event.is_set()

    def on_connect(self, connection):
        """Subscribe again, on a new connection."""
        for kind, wanted in self._again():
            connection.send_command(self._kinds[kind].subscribe.upper(), *wanted, check_health=False)

    # -- commands -----------------------------------------------------------------------------------------------------

    def execute_command(self, *args):
        """Send a command; its reply comes as a message."""
        if self.connection is None:
            self.connection = self.connection_pool.get_connection("pubsub", self.shard_hint)
            self.connection.register_connect_callback(self.on_connect)
            if self.push_handler_func is not None:
                self.connection.set_push_handler(self.push_handler_func)
        connection = self.connection
        if not self.subscribed:
            self.clean_health_check_responses()
        self._execute(connection, connection.send_command, *args, check_health=not self.subscribed)

    def clean_health_check_responses(self):
        """Read the answers of health checks that are still under way."""
        connection = self.connection
        for _ in range(_CLEANING_TRIES):
            if self.health_check_response_counter <= 0:
                return
            if self._execute(connection, connection.can_read, timeout=connection.socket_timeout):
                response = self._execute(connection, connection.read_response)
                if not self.is_health_check_response(response):
                    raise PubSubError("A non health check response was cleaned by execute_command: %s" % (response,))
                self.health_check_response_counter -= 1

    def _execute(self, connection, function, *args, **kwargs):
        return connection.retry.call_with_retry(lambda: function(*args, **kwargs),
                                                lambda error: self._fail(connection, error))

    def _fail(self, connection, error):
        connection.disconnect()
        if not isinstance(error, tuple(connection.retry_on_error)):
            raise error
        connection.connect()

    def _subscribe(self, kind, args, handlers):
        wanted = self._wanted(args, handlers)
        result = self.execute_command(self._kinds[kind].subscribe.upper(), *wanted)
        self._note_subscribed(kind, wanted)
        if not self.subscribed:
            self.subscribed_event.set()
            self.health_check_response_counter = 0
        return result

    def _unsubscribe(self, kind, args):
        names = self._note_unsubscribed(kind, args)
        return self.execute_command(self._kinds[kind].unsubscribe.upper(), *names)

    def subscribe(self, *args, **kwargs):
        """Subscribe to channels; those given by name have a handler."""
        return self._subscribe("", args, kwargs)

    def psubscribe(self, *args, **kwargs):
        """Subscribe to patterns."""
        return self._subscribe("p", args, kwargs)

    def ssubscribe(self, *args, target_node=None, **kwargs):
        """Subscribe to shard channels."""
        return self._subscribe("s", args, kwargs)

    def unsubscribe(self, *args):
        """Leave channels, or all."""
        return self._unsubscribe("", args)

    def punsubscribe(self, *args):
        """Leave patterns, or all."""
        return self._unsubscribe("p", args)

    def sunsubscribe(self, *args, target_node=None):
        """Leave shard channels, or all."""
        return self._unsubscribe("s", args)

    def ping(self, message=None):
        """Ask for a message of type pong."""
        return self.execute_command(*(("PING",) if message is None else ("PING", message)))

    # -- messages -----------------------------------------------------------------------------------------------------

    def check_health(self):
        """Send a PING where it is time."""
        connection = self._connected()
        if connection.health_check_interval and time.monotonic() > connection.next_health_check:
            connection.send_command("PING", self.HEALTH_CHECK_MESSAGE, check_health=False)
            self.health_check_response_counter += 1

    def _connected(self):
        if self.connection is None:
            raise RuntimeError("pubsub connection not set: did you forget to call subscribe() or psubscribe()?")
        return self.connection

    def parse_response(self, block=True, timeout=0):
        """The next reply, None where there is none within `timeout` seconds or it answers a health check."""
        connection = self._connected()
        self.check_health()

        def read():
            if block:
                connection.connect()
                return connection.read_response(timeout=None, disconnect_on_error=False, push_request=True)
            if not connection.can_read(timeout=timeout):
                return None
            return connection.read_response(disconnect_on_error=False, push_request=True)

        response = self._execute(connection, read)
        if self.is_health_check_response(response):
            self.health_check_response_counter -= 1
            return None
        return response

    def listen(self):
        """Messages, one by one, as long as there are subscriptions."""
        while self.subscribed:
            message = self.handle_message(self.parse_response(block=True))
            if message is not None:
                yield message

    def get_message(self, ignore_subscribe_messages=False, timeout=0.0):
        """The next message, or None: where none comes in so many seconds (None: for ever), it is ignored, or went to a
        handler."""
        if not self.subscribed:
            begun = time.monotonic()
            if not self.subscribed_event.wait(timeout):
                return None
            timeout = None if timeout is None else max(0.0, timeout - (time.monotonic() - begun))
        response = self.parse_response(block=timeout is None, timeout=timeout)
        return self.handle_message(response, ignore_subscribe_messages) if response else None

    get_sharded_message = get_message

    def handle_message(self, response, ignore_subscribe_messages=False):
        """The message of a reply; None where it was for a handler, or is ignored."""
        if response is None:
            return None
        message, handler = self._message(response)
        if not self._anything():
            self.subscribed_event.clear()
        if handler is not None:
            handler(message)
            return None
        return None if self._ignored(message, ignore_subscribe_messages) else message

    def run_in_thread(self, sleep_time=0.0, daemon=False, exception_handler=None):
        """A started PubSubWorkerThread that hands messages to their handlers; every subscription needs one."""
        for names, what in ((self.channels, "Channel"), (self.patterns, "Pattern"),
                            (self.shard_channels, "Shard Channel")):
            for name, handler in names.items():
                if handler is None:
                    raise PubSubError("%s: '%s' has no handler registered" % (what, name))
        thread = PubSubWorkerThread(self, sleep_time, daemon=daemon, exception_handler=exception_handler)
        thread.start()
        return thread


class PubSubWorkerThread(threading.Thread):
    """Hands messages to handlers until stop(); exception_handler(error, pubsub, thread) decides about errors."""

    def __init__(self, pubsub, sleep_time, daemon=False, exception_handler=None):
        super().__init__()
        self.daemon = daemon
        self.pubsub = pubsub
        self.sleep_time = sleep_time
        self.exception_handler = exception_handler
        self._running = threading.Event()

    def run(self):
        """Until stop()."""
        if self._running.is_set():
            return
        self._running.set()
        while self._running.is_set():
            try:
                self.pubsub.get_message(ignore_subscribe_messages=True, timeout=self.sleep_time)
            except BaseException as error:
                if self.exception_handler is None:
                    raise
                self.exception_handler(error, self.pubsub, self)
        self.pubsub.close()

    def stop(self):
        """End it: with the next message, or after sleep_time."""
        self._running.clear()
