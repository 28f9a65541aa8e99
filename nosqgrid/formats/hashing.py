"""Where a key lives in the index: a hash keyed by a secret of the arena.

    h(key) = (int(key, little-endian) + len(key) * b) * a  mod  p          0 <= h < p <= 2**61

p is a random prime just below 2**61, a and b random numbers below it; the three are the secret, chosen when an arena is
created and handed only to clients that may map it.  Two different keys of one length collide only if p divides their
difference, which has at most len/7 such divisors among some 10**14 candidates; two of different lengths collide for one
value of b.  So nobody who does not know the secret can prepare keys that pile up (hash flooding, oCERT-2011-003), and
the hash is the same in every process and every Python version, which hash() is not.  crc32 would be twice as fast, but
its collisions hold for every seed.  blake2b with a key costs twice as much (measured: 0.25 us against 0.5).

The upper bits of h place the key, so that the order of the index is the order of h whatever its size (engine/index
relies on it for growing and scanning); the lowest 16 are the tag in its slot.

Source: polynomial fingerprinting, M. O. Rabin, "Fingerprinting by random polynomials", 1981.
"""

HASH_BITS = 61

# The first twelve primes decide primality for every number below 3.3e24 (Sorenson and Webster, 2015).
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(number):
    """Whether a number below 2**64 is prime: deterministic Miller-Rabin."""
    if number < 2:
        return False
    for witness in _WITNESSES:
        if number % witness == 0:
            return number == witness
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in _WITNESSES:
        power = pow(witness, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def new_secret(random_bits):
    """Draw (a, b, p) with `random_bits(n) -> int`, which must be unpredictable (random.SystemRandom().getrandbits)."""
    while True:
        p = (1 << HASH_BITS) - (random_bits(HASH_BITS - 6) | 1)
        if is_prime(p):
            break
    return _nonzero(random_bits, p), _nonzero(random_bits, p), p


def _nonzero(random_bits, p):
    while True:
        number = random_bits(HASH_BITS)
        if 0 < number < p:
            return number


def is_secret(a, b, p):
    """Whether the three can have come from new_secret; checked on whatever arrives from outside."""
    return 1 << (HASH_BITS - 1) < p < 1 << HASH_BITS and 0 < a < p and 0 < b < p and is_prime(p)


def hash_key(key, secret, _from_bytes=int.from_bytes):
    """The hash of a key (bytes): the plain form of what the hot paths write inline."""
    a, b, p = secret
    return (_from_bytes(key, "little") + len(key) * b) * a % p
