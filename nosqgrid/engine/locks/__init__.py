"""Locks and what is made of them: who holds what, who waits for it, and in which order it goes on."""
