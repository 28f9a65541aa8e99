"""What Redis clients send, family by family: exact replies, and the same from a real redis-server."""
