"""Vectors that mean something: a hashed bag of words, so that texts with the same words lie close to each other."""

import re
from hashlib import blake2b
from math import sqrt

DIMENSIONS = 256


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """The unit vector of a text's words; of a text without any, the first axis."""
    counts = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()):
        digest = blake2b(word.encode(), digest_size=8).digest()
        counts[int.from_bytes(digest[:4], "big") % dimensions] += 1.0 if digest[4] & 1 else -1.0
    length = sqrt(sum(each * each for each in counts))
    return [each / length for each in counts] if length else [1.0] + [0.0] * (dimensions - 1)
