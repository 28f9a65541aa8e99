"""State and its rules: index, heap, keyspace, commands.  No clock, file, socket or thread: all are arguments."""
