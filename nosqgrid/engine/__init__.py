"""State and its rules: index, heap, keyspace, commands.  No clock, file, socket, thread or process: all are arguments."""
