"""The curve secp256k1 in plain integers: checks signatures by the public key alone, with nothing of the product."""

from __future__ import annotations

import hashlib

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
Point = tuple[int, int] | None


def add(a: Point, b: Point) -> Point:
    """The sum of two points; None is the point at infinity."""
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(number: int, point: Point) -> Point:
    """A multiple of a point."""
    found: Point = None
    while number:
        if number & 1:
            found = add(found, point)
        point = add(point, point)
        number >>= 1
    return found


def lifted(x: int, *, odd: bool) -> Point:
    """The point of this x whose y is odd or even. Raises `ValueError` when there is none."""
    y = pow(pow(x, 3, P) + 7, (P + 1) // 4, P)
    if y * y % P != (pow(x, 3, P) + 7) % P:
        raise ValueError("no point of the curve has this x")
    return x, (y if y % 2 == odd else P - y)


def recovered(digest: bytes, signature: bytes) -> bytes:
    """The public key, 64 bytes, that made a signature of 65 bytes (r, s, v) over a digest (ECDSA)."""
    r, s, v = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]
    inverse = pow(r, -1, N)
    at = lifted(r, odd=bool((v - 27) & 1))
    found = add(times(s * inverse % N, at), times(-int.from_bytes(digest) * inverse % N, G))
    assert found is not None
    return found[0].to_bytes(32) + found[1].to_bytes(32)


def is_bip340(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a Schnorr signature of a message of any length is of this x-only key (BIP-340)."""
    key = lifted(int.from_bytes(public_key), odd=False)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    tag = hashlib.sha256(b"BIP0340/challenge").digest()
    challenge = int.from_bytes(hashlib.sha256(tag + tag + signature[:32] + public_key + message).digest()) % N
    point = add(times(s, G), times(N - challenge, key))
    return point is not None and r < P and s < N and point[1] % 2 == 0 and point[0] == r
