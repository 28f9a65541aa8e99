"""What clients of Redis see: the replies of each family of commands, and comparisons with a real redis-server."""
