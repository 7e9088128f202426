"""Random generators and identifiers that a seed or a name fixes, so that a session can be repeated exactly."""

import hashlib
import random
import uuid

_ID_NAMESPACE = uuid.UUID("7f0c5a4e-6a0b-5b7e-9d25-3d0f6f1f5e11")


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


def stable_uuid(*parts: object) -> str:
    """A UUID that is the same for the same parts in every process and at every venue: ids of members and of keys."""
    digest = hashlib.sha256(_ID_NAMESPACE.bytes + "\x1f".join(str(part) for part in parts).encode())
    return str(uuid.UUID(bytes=digest.digest()[:16], version=4))
