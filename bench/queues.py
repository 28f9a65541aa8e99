"""`python3 -m bench queues`: queues of jobs beside those that programs use instead.

put + reserve + ack    by one process, jobs of some 100 bytes: so many are put, then each is taken and acknowledged;
                       what a rival has in the place of that, with whatever serialisation and function call it comes
                       with
nosqgrid worker        jobs a second through one worker process, each a call of a function that does nothing: from the
                       first job taken (they are all there by then) until the last is acknowledged

multiprocessing.Queue acknowledges nothing: who dies with an item has lost it.  Nobody keeps anything on disk but those
that are files (on tmpfs here).
"""

import multiprocessing
import os
import socket
import subprocess
import sys
import time

from . import rivals, report, side_by_side

CASE, WORKER = "put + reserve + ack", "a job through a worker"
PAYLOAD = {"to": "somebody@example.org", "subject": "x" * 60}
TIMEOUT_S = 60.0


def work(payload):
    """A job."""


class OurQueue(side_by_side.Ours):
    """grid.queue."""

    def connect(self, address):
        super().connect(address)
        self.queue = self.grid.queue("bench")

    def put(self):
        self.queue.put(PAYLOAD)

    def take(self):
        job = self.queue.reserve(0)
        work(job.payload)
        job.ack()


class Rq(side_by_side.OnRedis):
    """RQ with its worker that does not fork, in bursts of one job."""

    name, module = "RQ", "rq"

    def connect(self, address):
        super().connect(address)
        rq = rivals.import_rival("rq")
        rivals.import_rival("rq.worker")
        self.queue = rq.Queue("bench", connection=self.client)
        self.worker = rq.SimpleWorker([self.queue], connection=self.client)

    def put(self):
        self.queue.enqueue(work, PAYLOAD)

    def take_all(self, count):
        """All that are there: a burst has its price, which a worker of RQ pays once."""
        self.worker.work(burst=True, max_jobs=count, logging_level="CRITICAL")


class HueySqlite(rivals.Rival):
    """huey over SQLite."""

    name = "huey (SQLite)"

    def start(self, folder):
        rivals.import_rival("huey")
        return os.path.join(folder, "huey.db")

    def connect(self, address):
        huey = rivals.import_rival("huey")
        self._use(huey.SqliteHuey("bench", filename=address))

    def _use(self, huey):
        self.huey = huey
        self.task = huey.task()(work)

    def put(self):
        self.task(PAYLOAD)

    def take(self):
        self.huey.execute(self.huey.dequeue())


class HueyRedis(side_by_side.OnRedis):
    """huey over Redis."""

    name, module = "huey (Redis)", "huey"

    def connect(self, address):
        super().connect(address)
        huey = rivals.import_rival("huey")
        self._use(huey.RedisHuey("bench", connection_pool=self.client.connection_pool))

    _use, put, take = HueySqlite._use, HueySqlite.put, HueySqlite.take


class Beanstalkd(rivals.Rival):
    """beanstalkd over its Unix socket, with a client of a few lines and JSON."""

    name = "beanstalkd"

    def __init__(self):
        self._server = self._sock = None

    def start(self, folder):
        path = os.path.join(folder, "b.sock")
        try:
            self._server = subprocess.Popen(["beanstalkd", "-l", "unix:" + path], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise rivals.Absent("beanstalkd cannot be run (%s)" % error) from error
        return path

    def connect(self, address):
        self._json = rivals.import_rival("json")
        end = time.monotonic() + rivals.START_TIMEOUT_S
        self._sock = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._sock.connect(address)
                break
            except OSError as error:
                if time.monotonic() > end or self._server.poll() is not None:
                    raise rivals.Absent("beanstalkd does not answer (%s)" % error) from error
            time.sleep(0.02)
        self._file = self._sock.makefile("rb")

    def _ask(self, request, word):
        self._sock.sendall(request)
        line = self._file.readline().split()
        if line[:1] != [word]:
            raise rivals.Absent("beanstalkd answered %r" % line)
        return line

    def put(self):
        body = self._json.dumps(PAYLOAD).encode()
        self._ask(b"put 1000 0 60 %d\r\n%b\r\n" % (len(body), body), b"INSERTED")

    def take(self):
        _, number, size = self._ask(b"reserve-with-timeout 0\r\n", b"RESERVED")
        body = self._file.read(int(size) + 2)
        work(self._json.loads(body[:-2].decode()))
        self._ask(b"delete " + number + b"\r\n", b"DELETED")

    def close(self):
        if self._sock is not None:
            self._sock.close()
            if hasattr(self, "_file"):
                self._file.close()
        if self._server is not None:
            rivals.stop_process(self._server)


class ProcessQueue(rivals.Rival):
    """multiprocessing.Queue."""

    name = "multiprocessing.Queue"

    def connect(self, address):
        self.queue = multiprocessing.Queue()

    def put(self):
        self.queue.put(PAYLOAD)

    def take(self):
        work(self.queue.get())

    def close(self):
        self.queue.close()
        self.queue.join_thread()


class PersistQueue(rivals.Rival):
    """persist-queue's SQLiteAckQueue."""

    name = "persist-queue"

    def start(self, folder):
        rivals.import_rival("persistqueue")
        return os.path.join(folder, "persist")

    def connect(self, address):
        self.queue = rivals.import_rival("persistqueue").SQLiteAckQueue(address, auto_commit=True)

    def put(self):
        self.queue.put(PAYLOAD)

    def take(self):
        item = self.queue.get()
        work(item)
        self.queue.ack(item)

    def close(self):
        if hasattr(self, "queue"):
            self.queue.close()


ALL = (OurQueue, Rq, HueySqlite, HueyRedis, Beanstalkd, ProcessQueue, PersistQueue)


def run(plan, progress=lambda text: None, classes=ALL):
    """Measure; a side_by_side.Result.  Raises Absent where nosqgrid cannot be started."""
    result = side_by_side.Result("queues", plan)
    with side_by_side.opened(result, classes) as opened:
        if report.OURS in result.skipped:
            raise rivals.Absent(result.skipped[report.OURS])
        progress(CASE)
        side_by_side.measure(result, CASE, [(rival.name, lambda count, rival=rival: _body(rival, count))
                                            for rival in opened])
        progress(WORKER)
        for rival in opened:
            if isinstance(rival, OurQueue):
                _measure_worker(result, rival)
    return result


def _body(rival, count):
    put, take_all = rival.put, getattr(rival, "take_all", None)

    def body():
        for _ in range(count):
            put()
        if take_all is not None:
            take_all(count)
        else:
            take = rival.take
            for _ in range(count):
                take()
    return body


def _measure_worker(result, rival):
    """Jobs a second of `nosqgrid worker`, or why there are none."""
    queue, samples = rival.grid.queue("worker"), []
    try:
        for _ in range(result.plan.repeats):
            samples.append(_through_a_worker(queue, rival.address, result.plan.jobs))
    except rivals.Absent as absent:
        result.skipped["nosqgrid worker"] = str(absent)
        return
    result.timings[WORKER, report.OURS] = side_by_side.timing.summary(samples)


def _through_a_worker(queue, address, jobs):
    """Seconds a job."""
    queue.pause()
    queue.put_many([PAYLOAD] * jobs)
    worker = subprocess.Popen(
        [sys.executable, "-m", "nosqgrid", "worker", "-q", queue.name, "-c", "1", "bench.queues:work"],
        env=dict(os.environ, NOSQGRID_SOCKET=address), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        _wait_for_a_worker(worker, queue)
        begun = time.monotonic()
        queue.resume()
        if not queue.join(TIMEOUT_S):
            raise rivals.Absent("%d jobs were left after %d s" % (queue.qsize(), TIMEOUT_S))
        return (time.monotonic() - begun) / jobs
    finally:
        queue.purge()
        rivals.stop_process(worker)
        worker.stderr.close()


def _wait_for_a_worker(worker, queue):
    """Until somebody waits for this queue's jobs, or Absent with what the worker wrote."""
    end = time.monotonic() + TIMEOUT_S
    while not queue.stats()["waiting_workers"]:
        if worker.poll() is not None:
            said = worker.stderr.read().decode("utf-8", "replace").strip().splitlines()
            raise rivals.Absent("it ended with %d: %s" % (worker.returncode, said[-1][:200] if said else "silently"))
        if time.monotonic() > end:
            raise rivals.Absent("it does not ask for jobs")
        time.sleep(0.02)
