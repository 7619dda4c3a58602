"""Facts about the source of ``training``: no import circle, text only in ``experiments``, a README of at most 8 kB."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAINING = ROOT / "training"


def name_of(path: Path, root: Path) -> str:
    """Dotted name of the module in a file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(root: Path, package: str) -> dict[str, set[str]]:
    """The modules of a package that each of its modules imports, inside functions too."""
    files = {name_of(path, root): path for path in (root / package).rglob("*.py")}
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found[name] = names & files.keys() - {name}
    return found


def test_training_has_no_import_circle() -> None:
    graph = imports(ROOT, "training")
    assert "training.data.store" in graph["training.fit.learner"]  # The search sees imports at all,
    assert "training.fit.trainer" in graph["training.__main__"]  # those inside functions too.
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("late", ["from p.a import f", "def g():\n    import p.a"])
def test_an_import_circle_is_found(tmp_path: Path, late: str) -> None:
    (tmp_path / "p").mkdir()
    for name, text in {"__init__": "", "a": "from p import b", "b": late}.items():
        (tmp_path / "p" / f"{name}.py").write_text(text)
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(imports(tmp_path, "p")).prepare()


def test_the_experiments_are_text_only() -> None:
    files = [path for path in (TRAINING / "experiments").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"LOG.md", "PAPER.md"}
    assert {path.suffix for path in files} == {".md"}


def test_the_readme_has_at_most_8_kilobytes() -> None:
    assert (TRAINING / "README.md").stat().st_size <= 8192


def test_the_readme_names_every_module_or_its_package() -> None:
    text = (TRAINING / "README.md").read_text(encoding="utf-8")
    files = [path.relative_to(TRAINING) for path in TRAINING.rglob("*.py") if path.name != "__init__.py"]
    assert [str(file) for file in files if f"`{file}`" not in text and f"`{file.parts[0]}/`" not in text] == []
