"""Queues and jobs of a grid; see methods.py for how they are made."""
