"""kombu, which is what celery sends its messages with: queues, topics, fan-out, and what is given back.

A wait in vain makes it look for messages to restore, under a lock, whose release is a script: here nothing waits in
vain.
"""

import sys

import redis
from kombu import Connection, Consumer, Exchange, Producer, Queue
from same import place, same, wait_for

where = place(sys.argv[1])
url = "redis+socket://%s" % where["unix_socket_path"] if "unix_socket_path" in where else sys.argv[1]


def drain(connection, count):
    """Wait for so many messages."""
    for _ in range(count):
        connection.drain_events(timeout=10)


def simple(connection):
    """A queue that holds a message until it is acknowledged."""
    with connection.SimpleQueue("simple") as queue:
        for number in range(3):
            queue.put({"number": number}, compression="zlib")
        same(queue.qsize(), 3)
        message = queue.get(timeout=10)
        same(message.payload, {"number": 0})
        message.requeue()
        found = []
        for _ in range(3):
            message = queue.get(timeout=10)
            found.append(message.payload["number"])
            message.ack()
        same(sorted(found), [0, 1, 2])


def topics(connection):
    """Messages go by their routing keys, the urgent ones first."""
    exchange = Exchange("topics", type="topic")
    logs, errors = Queue("logs", exchange, routing_key="#"), Queue("errors", exchange, routing_key="*.error")
    heard = {"logs": [], "errors": []}

    def listen(name):
        def hear(body, message):
            heard[name].append(body)
            message.ack()
        return hear

    with connection.channel() as channel:
        producer = Producer(channel, exchange, serializer="json")
        for queue in (logs, errors):
            queue(channel).declare()
        for key in ("web.error", "web.info", "db.error"):
            producer.publish(key, routing_key=key)
        with Consumer(channel, logs, callbacks=[listen("logs")]), \
                Consumer(channel, errors, callbacks=[listen("errors")]):
            drain(connection, 5)
            same((sorted(heard["logs"]), heard["errors"]),
                 (["db.error", "web.error", "web.info"], ["web.error", "db.error"]))
        same([queue(channel).queue_declare(passive=False).message_count for queue in (logs, errors)], [0, 0])


def listening():
    """How many connections listen."""
    with redis.Redis(**where) as client:
        return sum(int(row["psub"]) for row in client.client_list())


def fanout(sender):
    """Everybody who listens hears it; a message in a queue of its own makes each begin to listen."""
    exchange = Exchange("news", type="fanout")
    heard = []
    with Connection(url) as one, Connection(url) as two:
        listeners = []
        for connection, name in ((one, "one"), (two, "two")):
            with connection.SimpleQueue("wake") as wake:
                wake.put("up")
            queues = [Queue(name, exchange, auto_delete=True), Queue("wake", Exchange("wake"), routing_key="wake")]
            listener = Consumer(connection, queues, on_message=lambda message: heard.append(message.payload),
                                no_ack=True)
            listener.consume()
            listeners.append(listener)
            drain(connection, 1)
        wait_for(lambda: listening() == 2)
        same(heard, ["up", "up"])
        del heard[:]
        Producer(sender, exchange).publish("extra", declare=[exchange])
        for connection, listener in zip((one, two), listeners):
            while len(heard) < 1 + (connection is two):
                drain(connection, 1)
            listener.cancel()
    same(heard, ["extra", "extra"])


with Connection(url) as opened:
    simple(opened)
    topics(opened)
    fanout(opened)
