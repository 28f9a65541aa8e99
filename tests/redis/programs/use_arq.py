"""arq: jobs that a worker of asyncio runs."""

import asyncio
import sys
from datetime import timedelta

from arq import Retry, create_pool, cron
from arq.connections import RedisSettings
from arq.jobs import Job, JobStatus
from arq.worker import Worker
from same import same

settings = RedisSettings.from_dsn(sys.argv[1])


async def add(context, one, two):
    """A job with a result."""
    return one + two


async def stubborn(context):
    """A job that works when it is tried again."""
    if context["job_try"] < 3:
        raise Retry(defer=0.01)
    return context["job_try"]


async def broken(context):
    """A job that raises."""
    raise ValueError("broken")


async def tick(context):
    """What cron calls."""


async def main():
    """Put jobs into the queue, run them, and look at what came out."""
    pool = await create_pool(settings)
    jobs = [await pool.enqueue_job("add", number, 1) for number in range(5)]
    named = await pool.enqueue_job("add", 1, 1, _job_id="once")
    same(await pool.enqueue_job("add", 1, 1, _job_id="once"), None)
    retried = await pool.enqueue_job("stubborn")
    failing = await pool.enqueue_job("broken")
    later = await pool.enqueue_job("add", 2, 2, _defer_by=timedelta(hours=1), _queue_name="other")
    same((await named.status(), await later.status()), (JobStatus.queued, JobStatus.deferred))
    same(len(await pool.queued_jobs()), 8)
    worker = Worker([add, stubborn, broken], redis_settings=settings, burst=True, poll_delay=0.02, max_jobs=4,
                    handle_signals=False, cron_jobs=[cron(tick, hour=3)])
    await asyncio.wait_for(worker.main(), 30)
    same([await job.result(timeout=5) for job in jobs], [1, 2, 3, 4, 5])
    same((await retried.result(timeout=5), (await named.info()).result), (3, 2))
    try:
        await failing.result(timeout=5)
    except ValueError as error:
        same(str(error), "broken")
    else:
        raise AssertionError("no error from a job that raised")
    same((worker.jobs_complete, worker.jobs_retried, worker.jobs_failed), (7, 2, 1))
    same(await Job("once", pool).status(), JobStatus.complete)
    await worker.close()
    await pool.aclose()


asyncio.run(main())
