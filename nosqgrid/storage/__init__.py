"""Files: the log, checkpoints, and what becomes of them after a crash."""
