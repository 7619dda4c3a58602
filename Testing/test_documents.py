"""The documents: their sizes, their links, and the pictures they show."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import draw_architecture
import list_rules

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("training/**/*.md"), *ROOT.glob("Resources/Documentation/*.md")],
)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize(("name", "most"), [("README.md", 6144), ("training/README.md", 8192)])
def test_a_readme_is_short(name: str, most: int) -> None:
    assert len((ROOT / name).read_bytes()) <= most


def test_every_change_stands_under_a_heading_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_table_of_imports_is_that_of_the_code() -> None:
    assert draw_architecture.table() in draw_architecture.DOCUMENT.read_text(encoding="utf-8")


def test_no_package_imports_one_that_imports_it() -> None:
    for graph in (draw_architecture.layers(), draw_architecture.packagesOf("core")):
        assert set(draw_architecture.heights(graph)) == set(graph)


def test_arrows_that_others_imply_are_not_drawn() -> None:
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert draw_architecture.reduced(graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_the_tables_of_the_method_are_those_of_the_plan() -> None:
    assert list_rules.tables() in list_rules.DOCUMENT.read_text(encoding="utf-8")


def test_every_rule_and_threshold_of_the_plan_is_listed() -> None:
    from UnsupervisedRegistrationLib.core.registration import plan

    assert list_rules.rules() == plan.RULES
    constants = {name for name, value in vars(plan).items() if name.isupper() and type(value) is not type}
    own = {name for name in constants if f"\n{name} = " in Path(plan.__file__).read_text(encoding="utf-8")}
    assert {name for _, name, _, _ in list_rules.thresholds()} == own - {"RULES"}


def test_every_stage_of_the_pipeline_has_a_section_in_order() -> None:
    text = list_rules.DOCUMENT.read_text(encoding="utf-8")
    assert re.findall(r"^## .* \(`(\w+)`\)$", text, re.MULTILINE) == list_rules.stages()


def test_the_table_of_the_options_is_that_of_the_code() -> None:
    from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions

    text = (ROOT / "Resources" / "Documentation" / "scripting.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", text, re.MULTILINE))
    assert {name: ast.literal_eval(value) for name, value in listed.items()} == vars(RegistrationOptions())
