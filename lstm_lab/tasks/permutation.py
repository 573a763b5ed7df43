"""A random order of N things of which any place can be asked for by itself.

Sorting N random words costs every training step time that grows with the data; here a step costs as much as it
asks for. A Feistel network of eight rounds,

    (l, r) -> (r, l xor f_k(r)),      f_k a hash of r under the round's random word k,

permutes the numbers of 2h bits whatever f is; a number that falls beyond N is sent through again until it does not,
which keeps the rest a permutation of 0 to N-1 ("cycle walking": J. Black and P. Rogaway, "Ciphers with arbitrary
finite domains", CT-RSA 2002, section 4). At most four times as many numbers as N are walked through. Four rounds of a
random f are enough where N is large (M. Luby and C. Rackoff 1988); with four, of ten or fifty numbers one was followed
by its neighbour an eighth too often, with eight in no more than a hundredth. The hash is the finaliser of MurmurHash3
(A. Appleby), no cipher, and nothing here is a secret.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

ROUNDS = 8


def permuted(key: Array, places: Array, count: int) -> Array:
    """Return what stands at some places of a random order of 0 to count - 1.

    Args:
        key: decides which order.
        places: int32 [B], 0 to count - 1.
        count: N, from 1 to 2^30.

    Returns:
        int32 [B], distinct where the places are.

    >>> order = permuted(jax.random.key(0), jnp.arange(5), 5)
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4]
    """
    words = jax.random.bits(key, (ROUNDS,))
    half = max((count - 1).bit_length() + 1, 2) // 2
    low = jnp.uint32((1 << half) - 1)

    def once(number: Array) -> Array:
        left, right = number >> half, number & low
        for word in words:
            left, right = right, left ^ (_hash(right ^ word) & low)
        return (left << half) | right

    def again(numbers: Array) -> Array:
        return jnp.where(numbers < count, numbers, once(numbers))

    return lax.while_loop(
        lambda numbers: jnp.any(numbers >= count), again, once(places.astype(jnp.uint32))
    ).astype(jnp.int32)


def _hash(word: Array) -> Array:
    """Mix the bits of uint32 words."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)
