"""Sockets: addresses, the listener, who is at the other end, and descriptors that travel."""
