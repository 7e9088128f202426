"""V58, V59, and V83 to V89: what an operator or a strategy can get wrong, each answered by one line that says what and
how to mend it."""

from __future__ import annotations

import asyncio
import sys

from framework.domain.errors import ConfigurationError
from framework.domain.instruments import Instrument
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderKind, OrderStatus, Side, TimeInForce
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.refusals import NO_SUCH_SYMBOL, refusal_line
from framework.testing.conformance.findings import NotStaged, expect
from framework.testing.conformance.session import CONFIGURATION_NAME, VenueSession
from framework.testing.conformance.stage import Stage, need

NO_KEY = "this is no key\n"
OTHER_VENUES_SECRET = "5a" * 32
"""As venues with shared secrets give them out."""
LEVERAGE = "1000"
FRESH_WITHIN_MS = 1
FRESHNESS = f"""
[checks.book_freshness]
use = "risk.book_freshness:BookFreshness"
[checks.book_freshness.settings]
age_ms_max = {FRESH_WITHIN_MS}
"""


@case
async def v58_a_key_in_the_wrong_format_is_said(stage: Stage) -> None:
    """The file of the secret holds something else."""
    field = _secret_field(stage)
    stage.say(await _refused_start(stage, field, NO_KEY), field, "; ")


@case
async def v59_the_secret_of_another_venue_is_said(stage: Stage) -> None:
    """One of the usual form, which this venue has not given out."""
    field = _secret_field(stage)
    stage.say(await _refused_start(stage, field, OTHER_VENUES_SECRET), field, "; ")


@case
async def v83_an_unknown_symbol_in_the_settings_is_said(stage: Stage) -> None:
    """The venue lists no such market."""
    line = await refusal_of_start(stage, {"markets": [NO_SUCH_SYMBOL]})
    stage.say(line, "markets", NO_SUCH_SYMBOL, "check the name")


@case
async def v84_a_size_off_the_grid_is_said(stage: Stage) -> None:
    """Between two lots where a lot is coarser than the venue's numbers, else with a digit too many."""
    session = await stage.open()
    one = session.instrument
    if one.lot > 1:
        off = Size(one.size_min + 1)
        stage.say(refusal_line(session.ask(Side.BUY, _some_price(one), off)), "size=", "lot=", "give")
        return
    text = f"{one.size_text(one.size_min)}{'' if one.size_decimals else '.'}5"
    try:
        one.size(text)
    except ValueError as e:
        stage.say(str(e), "size", text, "give at most")
    expect(stage.said, f"{text} is taken for a size")


@case
async def v85_an_order_below_the_minimum_is_said(stage: Stage) -> None:
    """By value where the venue has a least one, else by size."""
    session = await stage.open()
    one = session.instrument
    price, size = _some_price(one), Size(one.size_min - 1)
    if one.notional_min > 0:
        price, size = one.round_down(Price(max(one.notional_min // one.size_min - 1, 1))), one.size_min
    line = refusal_line(session.ask(Side.BUY, price, size))
    stage.say(line, "notional_min=" if one.notional_min else "size", "give")
    expect(not (await stage.sandbox.truth())["orders"], "an order has left")


@case
async def v86_a_dialect_that_the_server_does_not_speak_is_said(stage: Stage) -> None:
    """The settings name another generation of the API than the server's."""
    others = [name for name in stage.venue.dialects if name != stage.dialect]
    need(others, "a second dialect")
    stage.say(await refusal_of_start(stage, stage.spoken_as(others[0])), "dialect")


@case
async def v87_a_market_order_without_a_fresh_book_is_said(stage: Stage) -> None:
    """What is known of the book is older than the check allows."""
    session = await stage.open(more=FRESHNESS)
    need(OrderKind.MARKET in session.terms.order_kinds, "market orders")
    await session.until(lambda: session.book.is_fresh, "the book never became fresh")
    await asyncio.sleep(2 * FRESH_WITHIN_MS / 1000)
    one, terms = session.instrument, {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL}
    line = refusal_line(session.ask(Side.BUY, _some_price(one), one.size_min, **terms))
    stage.say(line, "BOOK_NOT_FRESH", f"age_ms_max={FRESH_WITHIN_MS}")
    expect(not (await stage.sandbox.truth())["orders"], "an order has left")


@case
async def v88_a_leverage_above_the_maximum_is_said(stage: Stage) -> None:
    """On the command line, before anything changes."""
    need(stage.venue.plugin.operate, "leverage: what is bought is paid in full")
    session = await stage.open()
    words = ("venue", session.venue, "leverage", session.instrument.symbol, LEVERAGE)
    stage.say(await _command(session, *words), f"leverage={LEVERAGE}", "from 1 to")


@case
async def v89_a_withdrawal_without_allowance_is_said(stage: Stage) -> None:
    """The daemon says it; nothing is signed."""
    session = await stage.open()
    asset = session.instrument.quote_currency or "USD"
    words = ("withdraw", "--venue", session.venue, "--asset", asset, "--amount", "1", "--yes", "1")
    stage.say(await _command(session, *words, "--state-dir", str(session.directory / "state")), session.venue, "; ")


async def refusal_of_start(stage: Stage, changes: dict[str, object]) -> str:
    """Start with settings that can't be used; why the daemon does not start, stops, leaves the venue alone, or, where
    all that a start reads is there, why the first order is rejected. None is in the venue's book."""
    try:
        session = await stage.open(changes, is_awaited=False)
    except ConfigurationError as e:
        line = str(e)
        if stage.session is not None:
            await stage.leave()
    else:
        not_ready = session.daemon.not_ready
        await session.until(lambda: session.stops or not not_ready(), lambda: f"nobody says it: {session.trouble}")
        line = session.stops[0] if session.stops else await _rejection(session)
        await stage.leave()
    expect(not (await stage.sandbox.truth())["orders"], "an order has left")
    return line


async def _rejection(session: VenueSession) -> str:
    one = session.instrument
    await session.until_ready()
    handle = session.place(Side.BUY, one.round_up(one.tick_bands[0].start), one.size_min)
    return (await session.until_status(handle, OrderStatus.REJECTED)).reason


async def _refused_start(stage: Stage, field: str, secret: str) -> str:
    file = stage.new_directory() / "secret"
    file.write_text(secret, encoding="ascii")
    file.chmod(0o600)
    return await refusal_of_start(stage, {field: str(file)})


def _some_price(one: Instrument) -> Price:
    """A price of the grid: what is asked for here is refused at any."""
    return one.round_down(Price(one.price_max // 2))


def _secret_field(stage: Stage) -> str:
    """The setting that names the file of the secret. Raises `NotStaged` where none is declared."""
    fields = [name for name in stage.venue.declaration.wrong_signature if name.endswith("_path")]
    if not fields:
        raise NotStaged("conformance.toml has no file of a secret in [wrong_signature]")
    return fields[0]


async def _command(session: VenueSession, *words: str) -> str:
    """What the command line prints for these words, which it refuses."""
    file = session.directory / CONFIGURATION_NAME
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "framework", *words, "-c", str(file),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    expect(process.returncode, f"it was done: {printed.decode()}")
    return printed.decode().strip()
