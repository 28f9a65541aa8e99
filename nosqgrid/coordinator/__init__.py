"""The coordinator: the one process, with one thread of control, that writes the arena."""
