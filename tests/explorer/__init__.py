"""Every interleaving of small scenarios, executed: the scheduler, and the real reader and writer under it."""
