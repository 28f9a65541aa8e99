"""Structures: lists, hashes, sets, sorted sets and streams, as the coordinator has them at keys.

structure.py says what each of them is; table.py keeps them and counts what they take.
"""
