"""The vocabulary: one word for each thing, and that word is the one of the field."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULE = ROOT / "UnsupervisedRegistration"
LIBRARY = MODULE / "UnsupervisedRegistrationLib"
SOURCES = sorted([*MODULE.rglob("*.py"), *(ROOT / "training").rglob("*.py")])

# Retired as whole identifiers, in any case, with or without underscores between their parts; and the words of today.
RETIRED = {
    "greys alike inOneContrast": "intensity mapping, matched intensities",
    "untold differ speckled": "unexplained variance, contrast differs",
    "look looks twice carefulLook meanLook fromAllSides": "pass, second pass",
    "ways thereAndBack onward outward whole restore": "forward and inverse, extrapolate margin, to full grid",
    "mending unfolded": "fold repair, repair_folds",
    "climb ascent pull pulls pays hopeless": "optimise, optimiser, force, minimum gain, maximum worsening",
    "lesson lessons teachersLessons taught drawnPatient": "distillation, trained, phantom",
    "narrowing kinds partners contest peers claims": "channel pruning, parsing, pairing, cases, baselines, summary",
    "saturated apart turned strange remapped": "binarised, translation, rotate90, independent texture",
    "errors pictures linked words": "TRE table, overlay volume, side by side, translation",
    "light verdict judgement": "quality check, grade",
    "confined placement putUnder": "this slice only, pre-alignment matrix, set parent transform",
}
RETIRED_MODULES = frozenset({"origin"})  # Provenance; an image has an origin, so the word remains elsewhere.

PHRASES = re.compile(
    r"""\b(
    greys | untold | mending | speck(s|led)? | hopeless | verdicts? | judgements? | (the|to|is) \s climb(s|ed)?
    | (careful|mean) \s looks? | there \s and \s back | from \s all \s sides | teacher['\u2019]?s? \s lessons?
    | drawn \s (patient|pair|image|head|heart|abdomen|thorax|section|phantom)s? | drawn \s anatomy
    | speaks? \s against | what \s to \s think \s of
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)


def plain(name: str) -> str:
    return name.replace("_", "").lower()


INSTEAD = {plain(name): instead for names, instead in RETIRED.items() for name in names.split()}


def definitions(tree: ast.AST) -> Iterator[str]:
    """Names of the classes, functions, methods, arguments, attributes and constants that a file defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from assigned(node.body)


def assigned(body: list[ast.stmt]) -> Iterator[str]:
    """Names that the statements of a module or class assign, those in tuples included."""
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        for target in targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def retired(source: str) -> dict[str, str]:
    """The retired words among the public names that a source defines, and what to write instead."""
    names = {name for name in definitions(ast.parse(source)) if not name.startswith("_")}
    return {name: INSTEAD[plain(name)] for name in sorted(names) if plain(name) in INSTEAD}


def readTexts(path: Path) -> Iterator[str]:
    """What a person reads in a file: strings and comments of Python, everything of other files."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    comments = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            comments.append(token.string.lstrip("# ") if token.type == tokenize.COMMENT else token.string)
    yield " ".join(comments)  # A phrase may go over two lines of a comment, or two parts of a string.


def phrases(path: Path) -> set[str]:
    return {match[0].lower() for text in readTexts(path) for match in PHRASES.finditer(re.sub(r"\s+", " ", text))}


def publicNames(path: Path) -> set[str]:
    """Public names at the top of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return {name for name in defined | set(assigned(tree.body)) if not name.startswith("_")}


def constants(path: Path) -> set[str]:
    """Constants at the top of a module, without the underscore that says whether they are public."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {name.lstrip("_") for name in assigned(tree.body) if re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name)}


def repeated(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: places for name, places in found.items() if len(places) > 1}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_retired_word_is_a_public_identifier(path: Path) -> None:
    assert plain(path.stem) not in INSTEAD.keys() | RETIRED_MODULES
    assert retired(path.read_text(encoding="utf-8")) == {}


def readByPeople() -> list[Path]:
    places = [MODULE, ROOT / "training", ROOT / "Resources", ROOT / "Testing", ROOT / ".ci", ROOT / ".github"]
    suffixes = {".py", ".ui", ".md", ".yaml", ".yml", ".sh", ".toml", ".svg"}
    inside = [path for place in places for path in place.rglob("*") if path.suffix in suffixes]
    beside = [path for path in ROOT.iterdir() if path.suffix in suffixes or path.name == "Makefile"]
    return sorted({*inside, *beside} - {Path(__file__)})


@pytest.mark.parametrize("path", readByPeople(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_uses_a_retired_phrase(path: Path) -> None:
    assert phrases(path) == set()


def test_no_public_name_is_defined_twice_in_the_library() -> None:
    found = defaultdict(list)
    for path in LIBRARY.rglob("*.py"):
        for name in publicNames(path) if path.name != "__main__.py" else ():
            found[name].append(path.relative_to(LIBRARY).as_posix())
    assert repeated(found) == {}


def test_no_file_name_occurs_twice_in_the_library() -> None:
    found = defaultdict(list)
    for path in LIBRARY.rglob("*.py"):
        if path.stem not in ("__init__", "__main__"):
            found[path.name].append(path.relative_to(LIBRARY).as_posix())
    assert repeated(found) == {}


def test_no_constant_name_has_two_meanings() -> None:
    found = defaultdict(list)
    for path in SOURCES:
        for name in constants(path):
            found[name].append(path.relative_to(ROOT).as_posix())
    assert repeated(found) == {}


def test_no_file_is_called_utils() -> None:
    assert [path.name for path in SOURCES if path.stem in ("utils", "helpers", "common", "misc")] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def mending(): ...", {"mending"}),
        ("class Greys: ...", {"Greys"}),
        ("class A:\n    def restore(self): ...", {"restore"}),
        ("def f(a, *, whole=False): ...", {"whole"}),
        ("class A:\n    placement: int", {"placement"}),
        ("class A:\n    def f(self): self.verdict = 1", {"verdict"}),
        ("KINDS, b = 1, 2", {"KINDS"}),
        ("def there_and_back(): ...", {"there_and_back"}),
        ("def f(origin): text.encode(errors='replace')", set()),
        ("def _pull(): ...\nfor look in x: pass", set()),
    ],
)
def test_every_form_of_definition_is_seen(source: str, expected: set[str]) -> None:
    assert set(retired(source)) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.py", "# a careful\n# look\n", {"careful look"}),
        ("a.py", '"""Good: nothing speaks\nagainst it."""', {"speaks against"}),
        ("a.py", "untold = 1", set()),
        ("a.py", "x = f'{1} drawn patients'", {"drawn patients"}),
        ("a.md", "The Greys of both", {"greys"}),
        ("a.md", "Grey values are inspected.", set()),
    ],
)
def test_texts_are_read_but_code_is_not(tmp_path: Path, name: str, text: str, expected: set[str]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert phrases(tmp_path / name) == expected
