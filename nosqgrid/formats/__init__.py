"""Bytes and what they mean: pure functions over buffers, no clock, file, socket, thread or process."""
