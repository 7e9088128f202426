"""Identifiers from the injected generator: the same seed names the same things."""

import random


def new_uuid(rng: random.Random) -> str:
    """A version 4 UUID as text."""
    text = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def seeded(seed: int, *names: str) -> random.Random:
    """A generator of its own for each name under one seed, the same in every process."""
    return random.Random("/".join((str(seed), *names)))  # noqa: S311 - simulation, nothing secret
