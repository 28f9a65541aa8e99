"""The Redis client (nosqgrid.redis): the same tests against a coordinator, attached to it, and a redis-server."""
