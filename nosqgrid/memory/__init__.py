"""Shared memory: the arena and the lanes as files and maps, and the lock-free reader."""
