"""rq-scheduler: jobs for later, which come into the queues of rq when it is time.

The worker of rq sends scripts and is left out.
"""

import sys
from datetime import datetime, timedelta, timezone

import redis
from rq import Queue
from rq.job import Job
from rq_scheduler import Scheduler
from same import same

connection = redis.Redis.from_url(sys.argv[1])
scheduler = Scheduler(queue_name="work", connection=connection)
now = datetime.now(timezone.utc).replace(tzinfo=None)

due = scheduler.enqueue_at(now - timedelta(seconds=5), "json.dumps", {"a": 1})
later = scheduler.enqueue_in(timedelta(hours=1), "json.dumps", 2)
hourly = scheduler.schedule(now - timedelta(seconds=1), "json.dumps", [3], interval=3600, repeat=2, id="hourly")
nightly = scheduler.cron("0 3 * * *", "json.dumps", [4], id="nightly")
same({job.id for job in scheduler.get_jobs()}, {due.id, later.id, "hourly", "nightly"})
same((later in scheduler, scheduler.count()), (True, 4))
same([job.id for job in scheduler.get_jobs_to_queue()], [due.id, "hourly"])

same(scheduler.acquire_lock(), True)
same(bool(Scheduler(queue_name="work", connection=connection).acquire_lock()), False)
scheduler.enqueue_jobs()
queue = Queue("work", connection=connection)
same(queue.job_ids, [due.id, "hourly"])
same(Job.fetch(due.id, connection=connection).args, ({"a": 1},))
same({job.id for job in scheduler.get_jobs()}, {later.id, "hourly", "nightly"})
same(list(scheduler.get_jobs_to_queue()), [])

scheduler.change_execution_time(later, now - timedelta(seconds=1))
scheduler.enqueue_jobs()
same(queue.job_ids, [due.id, "hourly", later.id])
scheduler.cancel(nightly)
same({job.id for job in scheduler.get_jobs()}, {"hourly"})
scheduler.remove_lock()
