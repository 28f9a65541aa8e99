"""Queues of jobs: what happens to a job (transitions), who has which (leases), and when (service)."""
