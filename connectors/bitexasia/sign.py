"""How BitExAsia's requests are signed, as far as it is known: the inputs and headers are documented, the text that is
signed is assumed. Pure but for the nonce."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence

import msgspec

from connectors.bitexasia.dialect import DIALECT, VERDICTS, Part
from connectors.bitexasia.limits import POOL
from connectors.bitexasia.settings import BitExAsiaSettings
from connectors.client.request_clock import RequestClock
from connectors.client.rest import Sign, SignedRest, open_rest, request_of
from connectors.client.secret_file import read_secret_text
from connectors.client.venue_time import VenueTime
from connectors.client.window_headers import WindowHeaders, WindowSight
from connectors.client.wire.calls import Call
from connectors.client.wire.decimals import NS_PER_MS
from connectors.client.wire.hmac_sign import HmacKey
from connectors.transport.ports import HttpRequest
from framework.domain.errors import ConfigurationError, Retryable
from framework.domain.market_events import WindowSeen
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn


class Layout(msgspec.Struct, frozen=True):
    """What is signed, and how it is written: each of it can be corrected by a setting once the venue says more."""

    parts: Sequence[Part] = DIALECT.parts
    separator: str = DIALECT.separator
    encoding: str = DIALECT.encoding


DOCUMENTED = Layout()
"""The inputs in the order of the page, the rest as assumed."""


def key_of(text: str, encoding: str) -> HmacKey:
    """The key of the HMAC by the secret's text: its own bytes, or those that it stands for in "hex" or "base64".

    Raises `ConfigurationError` for a text that does not have this form.
    """
    try:
        raw = {"text": str.encode, "hex": bytes.fromhex, "base64": _decoded}[encoding](text)
        return HmacKey(raw)
    except (ValueError, binascii.Error) as e:
        raise ConfigurationError(f"secret_path: the secret is no {encoding} as key_encoding says") from e


def signature(key: HmacKey, layout: Layout, call: Call, stamp: str, nonce: str) -> str:
    """The signature of one request whose target begins at the root of the host. The body is signed as it is sent."""
    given = {
        "method": call.method.encode(), "target": call.target.encode(), "body": call.body, "timestamp": stamp.encode(),
        "nonce": nonce.encode(),
    }  # fmt: skip
    text = layout.separator.encode().join(given[part] for part in layout.parts)
    return key.base64(text) if layout.encoding == "base64" else key.hex(text)


def signing(
    key_id: str,
    key: HmacKey,
    time: VenueTime,
    *,
    drift_ms: int,
    rng: Rng,
    layout: Layout = DOCUMENTED,
) -> Sign:
    """Signs each request with a time and a nonce of its own.

    What it returns raises `Retryable` while the venue's time is known less exactly than the key's tolerance `drift_ms`.
    """
    stamps = RequestClock(time, is_early=False)

    def sign(call: Call) -> HttpRequest:
        unsure_ms = (time.now_ns() - time.earliest_ns()) // NS_PER_MS
        if unsure_ms > drift_ms:
            raise Retryable(f"the venue's time is known to {unsure_ms} ms only; the key tolerates drift_ms={drift_ms}")
        stamp, nonce = str(stamps.next_ms()), rng.randbytes(DIALECT.nonce_bytes).hex()
        values = key_id, stamp, nonce, signature(key, layout, call, stamp, nonce)
        return request_of(call, tuple(zip(DIALECT.headers, values, strict=True)))

    return sign


def bitexasia_rest(
    name: str,
    s: BitExAsiaSettings,
    see: Callable[[WindowSeen], None],
    *,
    clock: Clock,
    rng: Rng,
    proxy: str,
    turn: TakeTurn,
) -> SignedRest:
    """The REST of the account `name`; no connection is opened yet. `see` gets what answers show of the rate limit.
    Raises `ConfigurationError` when the secret can't be used."""
    key = key_of(read_secret_text(s.secret_path, "secret_path"), s.key_encoding)
    layout = Layout(s.sign_parts, s.sign_separator, s.sign_encoding)
    return open_rest(
        "bitexasia",
        s,
        lambda time: signing(s.key_id, key, time, drift_ms=s.drift_ms, rng=rng, layout=layout),
        verdicts=VERDICTS,
        parse_error=DIALECT.errors.read,
        unsigned=frozenset(),
        clock=clock,
        rng=rng,
        proxy=proxy,
        turn=turn,
        on_answer=WindowSight(name, WindowHeaders(pool=POOL), clock, see).see,
    )


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
