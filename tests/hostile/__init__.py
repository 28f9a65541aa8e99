"""Hostile input and an oracle: garbage on the wire, and a real server to be compared with."""
