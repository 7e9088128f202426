"""The small version of `python -m tests.proofs.fuzz`, and its controls: what it looks for, it finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from framework.domain.account_events import BalanceReport, Fill
from framework.domain.numbers import Price, Size
from tests.architecture.source_tree import imports, product_files, source
from tests.proofs.fuzz.__main__ import TARGETS, broken
from tests.proofs.fuzz.target import Target, fuzz
from tests.support.state_records import fill

INPUTS = 1_500
DECODERS = ("decode_", "listing", "decimals", "answers", "http_codec")
"""How files of decoders begin: each must be read by a target of the proof."""


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_decoder_when_inputs_are_spoiled_then_it_reads_or_refuses_them(target: Target) -> None:
    result = fuzz(target, inputs=INPUTS, seed=7)
    assert (result.uncaught, result.wrong) == ([], [])
    assert result.read > 0


def price_by_float(data: bytes) -> Sequence[Fill]:
    price = float(msgspec.json.decode(data)["price"])
    return [msgspec.structs.replace(fill("f"), price=Price(int(price * 100)))]


def size_without_sign(data: bytes) -> Sequence[Fill]:
    return [msgspec.structs.replace(fill("f"), size=Size(int(msgspec.json.decode(data)["size"])))]


def amount_without_bound(data: bytes) -> Sequence[BalanceReport]:
    amount = int(msgspec.json.decode(data)["amount"])
    return [BalanceReport(venue="v", currency="USD", amount=amount, decimals=2, ts_recv=1)]


def float_kept(data: bytes) -> Sequence[object]:
    return [msgspec.json.decode(data).get("x")]


@pytest.mark.parametrize(
    ("seed", "read", "said"),
    [
        (b'{"price":"0.5"}', price_by_float, "OverflowError"),
        (b'{"size":"5"}', size_without_sign, "Fill.size: -"),
        (b'{"amount":"5"}', amount_without_bound, "is more than 64 bits"),
        (b'{"x":5}', float_kept, "the float"),
        (b'{"x":5}', float_kept, "RecursionError"),
    ],
)
def test_decoder_when_it_has_a_hole_then_the_proof_finds_it(seed: bytes, read: object, said: str) -> None:
    refusals = (ValueError, KeyError, TypeError, AttributeError)
    result = fuzz(Target("control", [seed], lambda: read, refusals), inputs=3_000, seed=7)  # type: ignore[arg-type,return-value]
    assert broken(result)
    assert any(said in found for found in (*result.uncaught, *result.wrong))


def test_decoders_when_the_source_is_read_then_each_is_a_target() -> None:
    files = {one.name: one for one in product_files() if one.name.startswith("connectors/")}
    named = {one for one in files if one.rsplit("/", 1)[-1].startswith(DECODERS) and "/sandbox/" not in one}
    known = imports(source("x.py", _text()).tree)
    assert sorted(one for one in named if one.removesuffix(".py").replace("/", ".") not in known) == []


def _text() -> str:
    folder = Path(__file__).parents[1] / "proofs" / "fuzz"
    return "\n".join(path.read_text() for path in folder.glob("*_targets.py"))
