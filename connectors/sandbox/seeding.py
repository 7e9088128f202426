"""Random generators and identifiers that one seed fixes, so that a session can be repeated exactly."""

import random


def seeded(seed: int, *names: str) -> random.Random:
    """A generator of its own for each sequence of names under one seed, the same in every process.

    Separate names keep the users apart: one more draw in one of them does not change what another one gets.
    """
    # Seeded with a text, which Random hashes by SHA-512; hash() of a text differs from process to process.
    return random.Random("/".join((str(seed), *names)))  # noqa: S311 - simulation, nothing secret


def new_uuid(rng: random.Random) -> str:
    """A version 4 UUID in its usual lower-case text form, drawn from `rng`."""
    text = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
