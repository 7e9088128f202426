"""V80 to V82: TLS with an authority of our own, through a front before the sandbox."""

from __future__ import annotations

from framework.testing.conformance.authority import Authority
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.orders import rest
from framework.testing.conformance.findings import expect
from framework.testing.conformance.front import HOST
from framework.testing.conformance.stage import Stage

OTHER_HOST = "another.invalid"


@case
async def v80_a_certificate_of_a_trusted_authority_is_accepted(stage: Stage) -> None:
    """REST and stream: an order rests, and the book is equal."""
    authority = Authority(stage.new_directory())
    await stage.front(authority.server(HOST))
    with authority.trusted():
        session, market = await stage.trade()
        await rest(session, market)


@case
async def v81_a_certificate_for_another_host_is_refused(stage: Stage) -> None:
    """Though its authority is trusted."""
    authority = Authority(stage.new_directory())
    with authority.trusted():
        await _refused(stage, authority, OTHER_HOST)


@case
async def v82_a_certificate_of_an_unknown_authority_is_refused(stage: Stage) -> None:
    """Though the host is the right one."""
    await _refused(stage, Authority(stage.new_directory()), HOST)


async def _refused(stage: Stage, authority: Authority, host: str) -> None:
    """Start a daemon: it says why it can't connect, and the venue gets no request."""
    await stage.front(authority.server(host))
    before = (await stage.sandbox.truth())["observed"]["requests"]
    session = await stage.open(is_awaited=False)
    await session.until(
        lambda: any("certificate" in text.lower() for text in session.trouble),
        lambda: f"nobody says it: {session.trouble} {session.daemon.not_ready()}",
    )
    expect((await stage.sandbox.truth())["observed"]["requests"] == before, "the venue got a request")
    await stage.leave()
