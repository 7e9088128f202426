"""The contract suite's own parts: its command's bad input, its table, venues from folders, and its front."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from framework.domain.errors import ConfigurationError, PluginError
from framework.testing.conformance.__main__ import main
from framework.testing.conformance.answers import KINDS, answer_of, answers_in, answers_table
from framework.testing.conformance.candidates import filled_in, find_venues
from framework.testing.conformance.case import CASES, case
from framework.testing.conformance.findings import Finding, NotOffered, expect
from framework.testing.conformance.front import Spoil, Target
from framework.testing.conformance.matrix import ANSWERS, MATRIX, column, kept, matrix_table, write
from framework.testing.conformance.stage import Setting, Stage, need
from framework.testing.conformance.suite import Played

PLUGIN = """
from typing import Any
from pydantic import BaseModel
class Settings(BaseModel):
    key: str = ""
SANDBOX = "tide.sandbox"
def create(name: str, settings: Settings, *, clock: Any, rng: Any) -> None: ...
"""


def test_command_when_a_case_is_listed_then_its_sentence_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert "V10 a cancel ends the order" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["kalshy"], 'venue: kalshy; did you mean "kalshi"?'),
        ([], "venue: none is named"),
        (["kalshi", "--case", "99"], "--case V99: there is no such case"),
        (["kalshi", "--dialect", "v2"], "--dialect v2: kalshi has no such dialect"),
    ],
)
def test_command_when_an_argument_is_wrong_then_one_line_says_so(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(line), said


def folder_with(tmp_path: Path, declaration: str) -> Path:
    (tmp_path / "tide").mkdir()
    (tmp_path / "tide" / "plugin.py").write_text(PLUGIN)
    (tmp_path / "tide" / "conformance.toml").write_text(declaration)
    return tmp_path


def test_venues_when_the_folder_is_a_relative_path_then_daemons_elsewhere_find_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_with(tmp_path, "")
    monkeypatch.chdir(tmp_path)
    assert find_venues([Path(".")])["tide"].plugin_paths == (tmp_path.resolve(),)


def test_venues_when_a_folder_has_one_then_it_is_found_with_its_declaration(tmp_path: Path) -> None:
    declared = '[dialects.v1]\narguments = ["--v1"]\n[wrong_key]\nkey = "{other}"\n'
    venue = find_venues([folder_with(tmp_path, declared)])["tide"]
    assert (venue.dialects, venue.libraries) == (("v1",), ("",))
    assert venue.dialect("v1").arguments == ("--v1",)
    assert filled_in(venue.declaration.wrong_key, {"other": "k2"}) == {"key": "k2"}
    assert column(Setting(venue, "v1", "")) == "tide v1"


def test_venues_when_a_declaration_has_an_unknown_key_then_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="setings"):
        find_venues([folder_with(tmp_path, "[setings]\n")])


def test_venues_when_a_plugin_does_not_load_then_it_is_said(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "")
    (folder / "tide" / "plugin.py").write_text("import no_such_module\n")
    with pytest.raises(PluginError, match="no_such_module"):
        find_venues([folder])


def test_case_when_its_code_is_taken_then_it_is_refused() -> None:
    async def v10_something_else(_stage: Stage) -> None: ...

    with pytest.raises(ValueError, match="V10"):
        case(v10_something_else)


def marked(name: str) -> str:
    """The place of a table in a page."""
    return f"<!-- {name} -->\n\n<!-- /{name} -->"


def test_page_when_it_is_written_twice_then_the_table_stands_once_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{marked(MATRIX)}\n\nend\n")
    columns = {"tide": [Played(CASES["V10"], Finding.NOT_OFFERED, "", 0.1)]}
    for _ in range(2):
        write(page, {MATRIX: matrix_table(columns)})
    assert kept(page.read_text(), MATRIX) == matrix_table(columns)
    assert page.read_text().count("| V10 | a cancel ends the order | not offered |") == 1
    assert page.read_text().startswith("# Title\n\n")
    assert page.read_text().endswith("\n\nend\n")


def test_page_when_it_has_no_markers_then_the_remedy_is_said() -> None:
    with pytest.raises(ConfigurationError, match="write both"):
        kept(marked(MATRIX), ANSWERS)


SAID = {"one a": "a is wrong; give b", "one b": "a is wrong; give b", "two": "(not offered: leverage)"}


def test_answers_when_they_are_written_then_they_are_read_as_they_were() -> None:
    found = {code: SAID for code in KINDS} | {"V50": dict.fromkeys(SAID, "the same")}
    table = answers_table(found)
    assert answers_in(table, list(SAID)) == {(code, at): one for code in KINDS for at, one in found[code].items()}
    assert [line for line in table.splitlines() if "| V50 |" in line] == [
        "| V50 | clock off by an hour | every venue | `the same` | nothing stops; set this machine's clock |"
    ]


def test_answer_when_it_names_what_differs_from_run_to_run_then_that_has_a_name() -> None:
    said = "tide=/tmp/a-1/b/secret: tide:KX-1 12 age_ms=17 5a80036ce99144568bd0437e63616601 `a|b`"
    played = Played(CASES["V58"], Finding.PASS, "", 0.1, said)
    assert answer_of(played, "tide") == "NAME=FOLDER/secret: NAME:SYMBOL 12 age_ms=N ID 'a\\|b'"


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ("", "no line for a user"),
        ("a\nb", "no line for a user"),
        ("Traceback (most recent call last): size", "no line for a user"),
        ("the order is refused", r"does not say \['size'\]"),
    ],
)
def test_line_when_it_is_none_or_lacks_the_field_then_the_case_fails(line: str, flaw: str, tmp_path: Path) -> None:
    venue = find_venues([folder_with(tmp_path, "")])["tide"]
    stage = Stage(Setting(venue), cast(Any, None), tmp_path)
    with pytest.raises(AssertionError, match=flaw):
        stage.say(line, "size")
    stage.say("size=1; give 2", "size")
    assert stage.said == "size=1; give 2"


def test_target_when_a_request_has_its_method_and_path_then_it_is_the_one() -> None:
    target = Target("POST */orders", Spoil.LOST_ANSWER, 0.0)
    assert target.matches(b"POST /v1/orders?a=1 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert not target.matches(b"GET /v1/orders HTTP/1.1\r\n\r\n")
    assert not target.matches(b"POST /v1/orders/7 HTTP/1.1\r\n\r\n")


def test_statements_when_they_do_not_hold_then_they_say_what() -> None:
    with pytest.raises(AssertionError, match="the book"):
        expect(False, "the book is stale")
    with pytest.raises(NotOffered, match="amend"):
        need(False, "amend")
