"""The account's own client: against the sandbox over real HTTP, and against scripted answers."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from connectors.kalshi.rest import queries
from connectors.kalshi.rest.client import KalshiRest
from connectors.kalshi.rest.clock_sync import VenueTime
from connectors.kalshi.rest.writes import AccountWrites, connect, failure_of
from connectors.kalshi.sandbox.server import KalshiSandbox, KalshiSandboxInfo, SandboxOptions
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire.account_messages import BatchItem, ItemError
from connectors.kalshi.wire.sign import Signer, load_private_key
from connectors.kalshi.wire.write_requests import OrderRef, OrderTerms
from connectors.transport.errors import NotSent
from connectors.transport.errors import OutcomeUnknown as CutOff
from framework.domain.errors import Fatal, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.runtime.clock import SystemClock, seeded_rng
from tests.connectors.kalshi.sandbox.signed_client import Administered
from tests.connectors.kalshi.support import TICKER, LoopClock, ScriptedHttp, answering, run_jumping, settings_for

T = TypeVar("T")
GROUPS = "/portfolio/order_groups"
ORDERS = "/portfolio/events/orders"
REF = OrderRef("97ec18b7", TICKER)
PAUSED = (409, b'{"error":{"code":"trading_is_paused","message":"trading is paused"}}')
NOT_FOUND = (404, b'{"error":{"code":"not_found","message":"not found"}}')
LIMITED = (429, b'{"error":"too many requests"}')
BAD_KEY = (401, b'{"error":{"code":"authentication_error","message":"authentication_error","details":"NOT_FOUND"}}')


class Account(Administered):
    """A sandbox whose traders rest, and a client of its account."""

    def __init__(self, sandbox: KalshiSandbox, info: KalshiSandboxInfo, client: AccountWrites) -> None:
        self.sandbox = sandbox
        self.info = info
        self.client = client
        self.ticker = ""

    def bid(self, name: str, price: int = 100, **changes: Any) -> OrderTerms:
        values: dict[str, Any] = {
            "ticker": self.ticker,
            "client_order_id": name,
            "side": Side.BUY,
            "price": Price(price),
            "size": Size(1000),
        }
        return OrderTerms(**(values | changes))

    def ref(self, item: BatchItem) -> OrderRef:
        assert item.order_id is not None
        return OrderRef(item.order_id, self.ticker)

    async def place(self, *names: str, **changes: Any) -> list[OrderRef]:
        items = await self.client.batch_create([self.bid(name, **changes) for name in names])
        assert [failure_of(item) for item in items] == [None] * len(names)
        return [self.ref(item) for item in items]

    async def open_names(self) -> set[str | None]:
        return {one.client_order_id for one in await queries.get_orders(self.client.rest, status="resting")}


async def account_on(directory: Path, *, key: str = "rsa", tier: str = "prestige") -> Account:
    sandbox = KalshiSandbox(SandboxOptions(directory=directory, markets=1, seed=3, speed=0.0, tier=tier))
    info = await sandbox.start()
    is_rsa = key == "rsa"
    settings = KalshiSettings(
        rest_url=info.rest_url,
        ws_url=info.ws_url,
        key_id=info.key_id if is_rsa else info.ed25519_key_id,
        private_key_path=Path(info.private_key_path if is_rsa else info.ed25519_private_key_path),
        markets=("KX*",),
        tier="prestige",
    )
    made = Account(sandbox, info, connect(settings, clock=SystemClock(), rng=seeded_rng(1)))
    await made.client.learn_limits()
    made.ticker = (await queries.get_markets(made.client.rest, status="open"))[0].ticker
    return made


async def close(account: Account) -> None:
    await account.client.close()
    await account.sandbox.stop()


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    made = await account_on(tmp_path)
    yield made
    await close(made)


@pytest.mark.parametrize("key", ["rsa", "ed25519"])
async def test_writes_when_signed_with_either_key_then_none_is_refused(tmp_path: Path, key: str) -> None:
    account = await account_on(tmp_path, key=key)
    try:
        group = await account.client.create_group(Size(1000))
        await account.client.reset_group(group)
        await account.client.batch_cancel(await account.place("a"))
        assert (await account.admin("GET", "truth"))["refused_signatures"] == 0
    finally:
        await close(account)


async def test_group_when_made_read_changed_and_deleted_then_the_venue_shows_each_step(account: Account) -> None:
    client = account.client
    group = await client.create_group(Size(1050))
    (order,) = await account.place("in-group", order_group_id=group)

    shown = await queries.get_order_group(client.rest, group)
    assert (shown.contracts_limit_fp, shown.orders, shown.is_auto_cancel_enabled) == ("10.50", (order.order_id,), True)
    await client.limit_group(group, Size(2000))
    (listed,) = await queries.get_order_groups(client.rest)
    assert (listed.id, listed.contracts_limit_fp) == (group, "20.00")

    await client.delete_group(group)
    assert await queries.get_order_groups(client.rest) == ()
    assert await account.open_names() == set()
    with pytest.raises(RefusedByVenue, match="not_found"):
        await client.delete_group(group)


async def test_group_when_triggered_then_its_orders_end_and_new_ones_wait_for_the_reset(account: Account) -> None:
    group = await account.client.create_group(Size(1000))
    await account.place("one", order_group_id=group)
    await account.place("free")

    await account.client.trigger_group(group)

    assert await account.open_names() == {"free"}
    (item,) = await account.client.batch_create([account.bid("two", order_group_id=group)])
    assert isinstance(failure_of(item), RefusedByVenue)
    await account.client.reset_group(group)
    await account.place("three", order_group_id=group)
    assert await account.open_names() == {"free", "three"}


@pytest.mark.parametrize("act", ["reset_group", "trigger_group", "delete_group"])
async def test_group_when_unknown_then_each_act_is_refused_as_not_found(account: Account, act: str) -> None:
    with pytest.raises(RefusedByVenue) as caught:
        await getattr(account.client, act)("no-such-group")
    assert (caught.value.code, caught.value.status) == ("not_found", 404)


async def test_decrease_when_by_or_to_then_the_rest_is_smaller_and_the_order_stays(account: Account) -> None:
    (order,) = await account.place("a")
    assert (await account.client.decrease(order, by=Size(250))).remaining_count == "7.50"
    assert (await account.client.decrease(order, to=Size(100))).remaining_count == "1.00"
    shown = await queries.get_order(account.client.rest, order.order_id)
    assert (shown.status, shown.remaining_count_fp) == ("resting", "1.00")
    with pytest.raises(RefusedByVenue, match="not_found"):
        await account.client.decrease(OrderRef("no-such-order", account.ticker), to=Size(100))


async def test_batch_when_some_items_are_refused_then_each_says_so_in_its_place(account: Account) -> None:
    await account.place("taken")
    names = ["good", "taken", "off-grid", "also-good"]
    orders = [account.bid(name, price=155 if name == "off-grid" else 100) for name in names]
    items = await account.client.batch_create(orders)
    codes = [failure.code if isinstance(failure := failure_of(item), RefusedByVenue) else None for item in items]
    assert codes == [None, "order_already_exists", "invalid_price", None]
    assert await account.open_names() == {"taken", "good", "also-good"}

    ended = await account.client.batch_cancel(
        [account.ref(items[0]), OrderRef("no-such-order", account.ticker), account.ref(items[3])]
    )
    assert [item.reduced_by for item in ended] == ["10.00", "0.00", "10.00"]
    failure = failure_of(ended[1])
    assert isinstance(failure, RefusedByVenue)
    assert failure.code == "not_found"
    assert await account.open_names() == {"taken"}


async def test_writes_when_many_are_sent_then_they_wait_for_tokens_and_none_is_limited(tmp_path: Path) -> None:
    account = await account_on(tmp_path, tier="basic")
    try:
        for number in range(3):
            orders = await account.place(*(f"a{number}-{place}" for place in range(5)))
            await account.client.batch_cancel(orders)
        with pytest.raises(ValueError, match="11 of them cost 110 tokens, and the write bucket holds 100"):
            await account.place(*(f"b{place}" for place in range(11)))
        report = await account.admin("GET", "truth")
        assert (report["rate_limited"], len(report["orders"])) == (0, 15)
    finally:
        await close(account)


async def test_writes_when_trading_is_paused_then_only_what_ends_orders_goes_through(account: Account) -> None:
    orders = await account.place("a", "b")
    await account.admin("POST", "faults", {"kind": "pause", "scope": "trading", "duration_ms": 60_000})
    (item,) = await account.client.batch_create([account.bid("c")])
    assert str(failure_of(item)).startswith("trading_is_paused")
    assert [failure_of(item) for item in await account.client.batch_cancel(orders)] == [None, None]


async def test_answer_when_lost_after_the_act_then_the_outcome_is_unknown_and_the_list_shows_it(
    account: Account,
) -> None:
    await account.admin("POST", "faults", {"kind": "lost_response", "count": 1, "match": {"method": "POST"}})
    with pytest.raises(OutcomeUnknown):
        await account.client.batch_create([account.bid("lost")])
    assert await account.open_names() == {"lost"}


def using(tmp_path: Path, http: ScriptedHttp, use: Callable[[AccountWrites], Awaitable[T]]) -> T:
    async def main(clock: LoopClock) -> T:
        settings = settings_for(tmp_path)
        signer = Signer(settings.key_id, load_private_key(settings.private_key_path))
        rest = KalshiRest(http, signer, settings, clock=clock, time=VenueTime(clock))
        return await use(AccountWrites(rest, settings, clock=clock))

    return run_jumping(main)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (NOT_FOUND, RefusedByVenue),
        (PAUSED, RefusedByVenue),
        (LIMITED, Retryable),
        (NotSent("refused"), Retryable),
        (BAD_KEY, Fatal),
        (CutOff("reset"), OutcomeUnknown),
        ((500, b""), OutcomeUnknown),
        ((302, b""), OutcomeUnknown),
        ((200, b"{}"), OutcomeUnknown),
        ((200, b"not json"), OutcomeUnknown),
    ],
)
def test_write_when_answered_badly_then_it_is_sent_once_and_the_error_says_what_is_proved(
    tmp_path: Path, answer: tuple[int, bytes] | Exception, kind: type[Exception]
) -> None:
    http = answering("POST", f"{ORDERS}/97ec18b7/decrease", answer)
    with pytest.raises(kind):
        using(tmp_path, http, lambda writes: writes.decrease(REF, to=Size(100)))
    assert len(http.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"orders":[]}',
        b'{"orders":[{"order_id":"x","client_order_id":"b"},{"order_id":"y","client_order_id":"a"}]}',
    ],
)
def test_batch_when_the_answer_does_not_fit_the_request_then_the_outcome_is_unknown(
    tmp_path: Path, body: bytes
) -> None:
    orders = [
        OrderTerms(ticker=TICKER, client_order_id=name, side=Side.BUY, price=Price(100), size=Size(100))
        for name in ("a", "b")
    ]
    http = answering("POST", f"{ORDERS}/batched", (201, body))
    with pytest.raises(OutcomeUnknown):
        using(tmp_path, http, lambda writes: writes.batch_create(orders))


def test_group_when_the_answer_names_none_then_the_outcome_is_unknown(tmp_path: Path) -> None:
    http = answering("POST", f"{GROUPS}/create", (201, b'{"order_group_id":""}'))
    with pytest.raises(OutcomeUnknown, match="list the groups"):
        using(tmp_path, http, lambda writes: writes.create_group(Size(100)))


def test_cancels_when_the_venue_pauses_then_they_may_be_tried_again(tmp_path: Path) -> None:
    http = answering("DELETE", f"{ORDERS}/batched", PAUSED)
    with pytest.raises(Retryable, match="paused"):
        using(tmp_path, http, lambda writes: writes.batch_cancel([REF]))


def test_write_when_the_one_before_was_refused_with_429_then_it_waits_for_a_whole_refill(tmp_path: Path) -> None:
    http = answering("DELETE", f"{GROUPS}/g", LIMITED, (200, b"{}"))

    async def use(writes: AccountWrites) -> str:
        with pytest.raises(Retryable):
            await writes.delete_group("g")
        drained = repr(writes)
        await writes.delete_group("g")
        return drained

    assert "level=0" in using(tmp_path, http, use)


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (BatchItem(order_id="x"), type(None)),
        (BatchItem(error=ItemError("invalid_price", "invalid price")), RefusedByVenue),
        (BatchItem(order_id="x", error=ItemError("not_found")), RefusedByVenue),
        (BatchItem(error=ItemError()), OutcomeUnknown),
        (BatchItem(), OutcomeUnknown),
    ],
)
def test_item_when_judged_then_only_the_venues_own_code_is_a_refusal(item: BatchItem, kind: type) -> None:
    assert type(failure_of(item)) is kind


def test_client_when_the_sources_are_read_then_the_order_path_and_it_do_not_know_each_other() -> None:
    ours = {"connectors.kalshi.rest.writes", "connectors.kalshi.wire.write_requests"}
    forbidden = {"framework.domain.verdicts", "framework.domain.intents"}
    for file in [path for folder in ("connectors", "framework", "risk") for path in Path(folder).rglob("*.py")]:
        imported = {
            name
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in _names(node)
        }
        if ".".join(file.with_suffix("").parts) in ours:
            assert not imported & forbidden, file
        else:
            assert not imported & ours, file


def _names(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
