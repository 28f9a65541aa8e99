"""A byte ring in shared memory: one producer, one consumer, each with a word of its own that only rises.

The bytes between the consumer's word and the producer's are in the ring, at their position modulo its size.  Copying in
comes before the store of the producer's word, copying out before the store of the consumer's: a kill in between leaves
the ring as if the copy had not begun.
"""


def copy_in(memory, ring_offset, ring_size, position, data):
    """Write data at a position of the ring; the caller knows that there is room."""
    start = position % ring_size
    end = start + len(data)
    if end <= ring_size:
        memory[ring_offset + start:ring_offset + end] = data
    else:
        split = ring_size - start
        memory[ring_offset + start:ring_offset + ring_size] = data[:split]
        memory[ring_offset:ring_offset + end - ring_size] = data[split:]


def copy_out(memory, ring_offset, ring_size, position, count):
    """The count bytes at a position of the ring."""
    start = position % ring_size
    end = start + count
    if end <= ring_size:
        return memory[ring_offset + start:ring_offset + end]
    return memory[ring_offset + start:ring_offset + ring_size] + memory[ring_offset:ring_offset + end - ring_size]
