"""A venue knows no other venue, and its client and its sandbox know nothing of each other.

What clients share (`connectors.client`) is as closed to sandboxes as a client itself.

A mistake that client and sandbox share would pass every test that runs one against the other. So a sandbox does not
use the framework's numbers either.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest

from tests.architecture.source_tree import PACKAGES, Source, imports, is_inside, product_files, source

CONNECTORS = "connectors"
EXCHANGE = f"{CONNECTORS}.sandbox"
"""What the sandboxes of all venues share."""


def venues(sources: Iterable[Source]) -> set[str]:
    """The folders of connectors that have a plugin.py, as packages."""
    paths = [PurePosixPath(one.name).parts for one in sources]
    return {f"{CONNECTORS}.{parts[1]}" for parts in paths if parts[0] == CONNECTORS and parts[2:] == ("plugin.py",)}


def wrong_imports(sources: Iterable[Source]) -> list[str]:
    """Each import that a venue, its sandbox, or what venues share must not have."""
    sources = tuple(sources)
    names = venues(sources)
    return [
        f"{one.module} imports {imported}"
        for one in sources
        if is_inside(one.module, CONNECTORS)
        for imported in sorted(imports(one.tree))
        if imported.partition(".")[0] in PACKAGES and not _is_allowed(one.module, imported, names)
    ]


def _is_allowed(importer: str, imported: str, names: set[str]) -> bool:
    own = next((name for name in names if is_inside(importer, name)), None)
    if imported in (CONNECTORS, own):  # the first half of `from connectors import …`; the second half is looked at
        return True
    if is_inside(importer, EXCHANGE):
        return is_inside(imported, EXCHANGE)
    if own is None:
        return not any(is_inside(imported, other) for other in (*names, EXCHANGE))
    if is_inside(importer, f"{own}.sandbox"):
        return is_inside(imported, f"{own}.sandbox") or is_inside(imported, EXCHANGE)
    return not any(is_inside(imported, other) for other in (*names - {own}, f"{own}.sandbox", EXCHANGE))


def test_venues_when_the_source_is_read_then_there_are_some() -> None:
    assert "connectors.kalshi" in venues(product_files())


def test_venues_when_the_source_is_read_then_none_knows_another_nor_a_client_its_sandbox() -> None:
    found = wrong_imports(product_files())
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("connectors/tide/rest/client.py", "from connectors.ebb.wire import sign"),
        ("connectors/tide/rest/client.py", "from connectors import ebb"),
        ("connectors/tide/sandbox/server.py", "import connectors.ebb.sandbox.server"),
        ("connectors/tide/sandbox/server.py", "from connectors.tide.wire.sign import sign"),
        ("connectors/tide/sandbox/server.py", "from connectors.tide.wire.fixed_point import parse"),
        ("connectors/tide/sandbox/server.py", "from connectors.tide import settings"),
        ("connectors/tide/sandbox/server.py", "from connectors.transport import http_codec"),
        ("connectors/tide/sandbox/server.py", "from framework.domain.numbers import parse"),
        ("connectors/tide/rest/client.py", "from connectors.tide.sandbox import keys"),
        ("connectors/tide/rest/client.py", "from connectors.sandbox.engine.model import Side"),
        ("connectors/sandbox/engine/model.py", "from connectors.tide.wire.sign import sign"),
        ("connectors/sandbox/engine/model.py", "from connectors.transport.dial import dial"),
        ("connectors/transport/dial.py", "from connectors.tide.settings import Settings"),
        ("connectors/client/rest.py", "from connectors.tide.settings import Settings"),
        ("connectors/client/rest.py", "from connectors.sandbox.engine.model import Side"),
        ("connectors/tide/sandbox/server.py", "from connectors.client.wire.decimals import scaled_of"),
        ("connectors/sandbox/serving/auth.py", "from connectors.client.wire.hmac_sign import HmacKey"),
        ("connectors/transport/dial.py", "def dial():\n    import connectors.sandbox.engine.model"),
    ],
)
def test_venues_when_one_imports_what_it_must_not_then_it_is_reported(path: str, line: str) -> None:
    plugins = [source(f"connectors/{name}/plugin.py", "") for name in ("tide", "ebb")]
    assert wrong_imports([*plugins, source(path, line)])


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("connectors/tide/rest/client.py", "from connectors.tide.wire.sign import sign"),
        ("connectors/tide/rest/client.py", "from connectors.transport.ports import Http"),
        ("connectors/tide/rest/client.py", "from connectors.client.wire.decimals import scaled_of"),
        ("connectors/client/rest.py", "from connectors.transport.ports import Http"),
        ("connectors/tide/rest/client.py", "from framework.domain.numbers import parse"),
        ("connectors/tide/sandbox/server.py", "from connectors.tide.sandbox import keys"),
        ("connectors/tide/sandbox/server.py", "from connectors.sandbox.engine.model import Side"),
    ],
)
def test_venues_when_one_imports_its_own_then_nothing_is_reported(path: str, line: str) -> None:
    assert wrong_imports([source("connectors/tide/plugin.py", ""), source(path, line)]) == []
