"""Randomness drawn per clip, so that no batch, worker or order of work changes what a clip gets."""

from hashlib import blake2b

import numpy as np


def generator(seed: int, *key: str | int) -> np.random.Generator:
    """A random generator of its own for each (seed, key).

    Args:
        seed: the run's seed, >= 0.
        key: what the randomness is for, such as `"target", clip`.
    """
    text = "\0".join(map(str, key)).encode()
    return np.random.default_rng([seed, int.from_bytes(blake2b(text, digest_size=16).digest())])
