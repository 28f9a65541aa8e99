"""APScheduler with its jobs in Redis: a second scheduler finds and runs what the first left there."""

import sys
from datetime import datetime, timedelta, timezone

from apscheduler.jobstores.redis import RedisJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from same import place, same, wait_for

ran = []


def job(name):
    """What the scheduler calls."""
    ran.append(name)


def scheduler():
    """A scheduler over the store."""
    made = BackgroundScheduler(timezone=timezone.utc)
    made.add_jobstore(RedisJobStore(**place(sys.argv[1])), "default")
    return made


now = datetime.now(timezone.utc)
one = scheduler()
one.start(paused=True)
one.add_job(job, "date", run_date=now + timedelta(seconds=0.2), args=["soon"], id="soon", misfire_grace_time=60)
one.add_job(job, "interval", seconds=3600, args=["hourly"], id="hourly")
one.add_job(job, "cron", hour=3, args=["nightly"], id="nightly")
one.add_job(job, "date", run_date=now + timedelta(days=1), args=["later"], id="later")
one.modify_job("hourly", name="every hour")
one.pause_job("nightly")
one.remove_job("later")
one.shutdown()

two = scheduler()
two.start(paused=True)
same(sorted(found.id for found in two.get_jobs()), ["hourly", "nightly", "soon"])
same((two.get_job("hourly").name, two.get_job("nightly").next_run_time), ("every hour", None))
two.resume()
wait_for(lambda: ran == ["soon"] and two.get_job("soon") is None)
two.add_job(job, "date", run_date=now, args=["replaced"], id="hourly", replace_existing=True, misfire_grace_time=60)
wait_for(lambda: ran == ["soon", "replaced"])
two.remove_all_jobs()
same(two.get_jobs(), [])
two.shutdown()
