"""Randomness drawn per clip, so that no batch, worker or order of work changes what a clip gets."""

from hashlib import blake2b

import numpy as np


def generator(seed: int, *key: str | int) -> np.random.Generator:
    """Make the random generator that belongs to (seed, key) alone.

    Args:
        seed: the run's seed, >= 0.
        key: purpose of the randomness, such as `"target", clip`.

    Example:
        >>> [int(generator(0, "target", clip).integers(100)) for clip in ("a.wav", "b.wav", "a.wav")]
        [32, 14, 32]
    """
    text = "\0".join(map(str, key)).encode()
    return np.random.default_rng([seed, int.from_bytes(blake2b(text, digest_size=16).digest())])
