"""Locks and meeting points of a grid; see methods.py for how they are made."""
