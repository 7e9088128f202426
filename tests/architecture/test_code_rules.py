"""Where everything may be caught, and what a class may inherit from."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import pytest

from tests.architecture.source_tree import Source, last_word_of, product_files, source

BROAD = {"Exception", "BaseException"}
CLEANUP = "cleans up and raises again, whatever it was, also when the task is cancelled"
BROAD_EXCEPTS = {
    "framework/cli/main.py": ("a defect of a command is one line for its user; the traceback is for who asks for it",),
    "framework/assembly.py": ("a strategy's constructor may raise anything; the other strategies go on",),
    "framework/config/errors.py": ("a plugin's own validator may raise anything; it is an error of configuration",),
    "framework/config/plugins.py": (
        "a module of a plugin may raise anything while it is imported",
        "the same for one that is found as an entry point",
        "the same for what makes a strategy or a connector",
    ),
    "framework/domain/errors.py": ("an error's text is code of its plugin, too; what can't be shown is left out",),
    "framework/engine/kernel.py": ("a step that fails is half done, whoever published: `Fatal`",),
    "framework/engine/monitors.py": ("a check may raise anything; one that broke does not watch, so all is halted",),
    "framework/engine/strategy_host.py": ("a strategy may raise anything; the other strategies go on",),
    "framework/execution/request_sender.py": (
        "a signer may raise anything; nothing was sent",
        "a gateway may raise anything; the outcome is then unknown, as after an ambiguous answer",
    ),
    "framework/ops/alerts/alerts.py": ("a defect in one source of alerts must not end the watch of all others",),
    "framework/ops/operator_socket.py": ("a defect in one command must not end the operator's only way in",),
    "framework/persistence/ledger/ledger.py": (CLEANUP,),
    "framework/persistence/recovery.py": (CLEANUP,),
    "framework/runtime/background.py": (
        "goes to the caller through the future",
        "kept for the owner, who asks for `failure`",
    ),
    "framework/runtime/sandbox_process.py": (CLEANUP,),
    "framework/runtime/supervisor.py": ("whatever fails in one hook, the hooks after it must run",),
    "framework/venue_run.py": ("a connector may raise anything; the other venues go on",),
    "framework/testing/harness.py": ("the test's own error, raised again below",),
    "risk/gate.py": (
        "whatever breaks, in the gate or in a check, has not approved",
        "the same when it is asked again before the request leaves",
        "the same of a check that can't be made anew with changed settings",
    ),
    "connectors/transport/dial.py": (CLEANUP,),
    "connectors/transport/http_pool.py": (CLEANUP, CLEANUP),
    "connectors/transport/reference_websocket.py": (CLEANUP, CLEANUP),
    "connectors/transport/websocket.py": (CLEANUP, CLEANUP, "keeps the error for `wait_closed` and raises it again"),
}
"""File -> why, for each handler or `suppress` in it that takes everything."""

BASES = {
    "Protocol",
    "Strategy",
    "Generic",
    "NamedTuple",
    "TypedDict",
    "Enum",
    "StrEnum",
    "IntEnum",
    "msgspec.Struct",
    "BaseModel",
    "BaseSettings",
}
"""What any class may inherit from, beside exceptions."""
LIBRARY_BASES = {
    "framework/config/environment.py: Configuration": "the keys of the configuration as names of variables",
    "framework/domain/events.py: dict": "`__missing__` fills it: counting an event costs one look-up",
    "framework/state/risk_view.py: dict": "`__missing__` answers for a venue without terms: an order costs one look-up",
    "framework/ops/prometheus.py: Collector": "the library's interface for metrics that are read when asked for",
    "framework/runtime/logging.py: logging.Handler": "the library's interface for an output of the log",
    "connectors/transport/http_connection.py: asyncio.Protocol": "the event loop's interface for a connection",
    "connectors/transport/websocket.py: picows.WSListener": "the library's interface for a connection",
    "connectors/transport/reference_websocket.py: ClientConnection": "the library has no hook for the time of arrival",
}
"""File and base -> why."""


def broad_excepts(sources: Iterable[Source]) -> Mapping[str, int]:
    """File -> how many handlers in it take everything."""
    return Counter(one.name for one in sources for node in ast.walk(one.tree) if _takes_everything(node))


def _takes_everything(node: ast.AST) -> bool:
    match node:
        case ast.ExceptHandler(type=None):
            return True
        case ast.ExceptHandler(type=ast.Tuple(elts=kinds)):
            return any(last_word_of(kind) in BROAD for kind in kinds)
        case ast.ExceptHandler(type=ast.AST() as kind):
            return last_word_of(kind) in BROAD
        case ast.Call(func=function, args=kinds) if last_word_of(function) == "suppress":
            return any(last_word_of(kind) in BROAD for kind in kinds)
    return False


def foreign_bases(sources: Iterable[Source]) -> list[str]:
    """Bases that no class should have, as `file: base`."""
    classes = [(one.name, node) for one in sources for node in ast.walk(one.tree) if isinstance(node, ast.ClassDef)]
    errors = _errors(node for _, node in classes)
    protocols = {node.name for _, node in classes if "Protocol" in _bases(node)}
    return [
        f"{name}: {base}"
        for name, node in classes
        for base in _bases(node)
        if base not in BASES | errors and not (base in protocols and node.name in protocols)
    ]


def _errors(classes: Iterable[ast.ClassDef]) -> set[str]:
    found = {
        name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    rest = list(classes)
    while new := {node.name for node in rest if found.intersection(_bases(node))} - found:
        found |= new
    return found


def _bases(node: ast.ClassDef) -> Iterator[str]:
    return (ast.unparse(base.value if isinstance(base, ast.Subscript) else base) for base in node.bases)


def test_errors_when_everything_is_caught_then_the_place_is_listed_with_its_reason() -> None:
    assert broad_excepts(product_files()) == {name: len(reasons) for name, reasons in BROAD_EXCEPTS.items()}


@pytest.mark.parametrize(
    "handler",
    [
        "except:",
        "except Exception:",
        "except BaseException as e:",
        "except (OSError, Exception):",
        "except* Exception:",
    ],
)
def test_errors_when_everything_is_caught_then_it_is_counted(handler: str) -> None:
    assert broad_excepts([source("risk/a.py", f"try:\n    f()\n{handler}\n    pass\n")]) == {"risk/a.py": 1}


@pytest.mark.parametrize("kinds", ["Exception", "OSError, BaseException"])
def test_errors_when_everything_is_suppressed_then_it_is_counted(kinds: str) -> None:
    assert broad_excepts([source("risk/a.py", f"with contextlib.suppress({kinds}):\n    f()\n")]) == {"risk/a.py": 1}


def test_errors_when_something_is_caught_by_name_then_it_is_not_counted() -> None:
    text = "try:\n    f()\nexcept (OSError, errors.JournalError):\n    pass\nexcept ExceptionGroup:\n    pass\n"
    assert broad_excepts([source("risk/a.py", text)]) == {}


def test_classes_when_one_inherits_then_from_what_any_may_or_what_is_listed() -> None:
    assert sorted(foreign_bases(product_files())) == sorted(LIBRARY_BASES)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("class A: ...\nclass B(A): ...", "A"),
        ("class A(msgspec.Struct): ...\nclass B(A): ...", "A"),
        ("class A(asyncio.Protocol): ...", "asyncio.Protocol"),
        ("class A(Protocol): ...\nclass B(A): ...", "A"),
        ("class A(dict[str, int]): ...", "dict"),
        ("def f():\n    class A(threading.Thread): ...", "threading.Thread"),
    ],
)
def test_classes_when_one_inherits_from_something_else_then_it_is_reported(text: str, base: str) -> None:
    assert foreign_bases([source("risk/a.py", text)]) == [f"risk/a.py: {base}"]


@pytest.mark.parametrize(
    "text",
    [
        "class A(msgspec.Struct, frozen=True): ...",
        "class A(Enum): ...\nclass B(NamedTuple): ...\nclass C(BaseModel): ...",
        "class A(Protocol[T]): ...\nclass B(A, Protocol): ...",
        "class A(ValueError): ...\nclass B(A): ...\nclass C(B): ...",
        "class A(Strategy[Settings]): ...",
    ],
)
def test_classes_when_one_inherits_from_what_any_may_then_nothing_is_reported(text: str) -> None:
    assert foreign_bases([source("risk/a.py", text)]) == []
