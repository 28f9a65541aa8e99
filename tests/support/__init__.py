"""Instruments that the tests measure with; each has tests of its own in tests/unit."""
