"""Writes the rules of the plan into ``Resources/Documentation/method.md``: ``make documents``.

The rules and their thresholds are read from ``core/registration/plan.py``: the dictionary ``RULES``, and each constant
with the comment behind it, under the comment that heads its group.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
REGISTRATION = ROOT / "UnsupervisedRegistration" / "UnsupervisedRegistrationLib" / "core" / "registration"
DOCUMENT = ROOT / "Resources" / "Documentation" / "method.md"
BEGIN, END = "<!-- written by Testing/list_rules.py -->", "<!-- end -->"


def assigned(path: Path, name: str) -> ast.expr:
    """The value of a name that a module assigns.

    Raises:
        ValueError: It assigns none.
    """
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.value
    raise ValueError(f"'{path}' assigns no {name}.")


def rules() -> dict[str, str]:
    """Name of each rule and what it does."""
    return ast.literal_eval(assigned(REGISTRATION / "plan.py", "RULES"))


def thresholds() -> list[tuple[str, str, str, str]]:
    """Group, name, value and comment of each constant, in the order of the file."""
    group, found, behind = "", [], False  # Whether the line before belongs to a constant.
    for line in (REGISTRATION / "plan.py").read_text(encoding="utf-8").splitlines():
        constant = re.match(r"([A-Z][A-Z0-9_]*) = (.*?)  # (.*)", line)
        if constant:
            found.append((group, *constant.groups()))
        elif line.startswith("# ") and behind:
            found[-1] = (*found[-1][:3], f"{found[-1][3]} {line[2:]}")
        elif line.startswith("# "):
            group = line[2:]
        behind = bool(constant) or (behind and line.startswith("# "))
    return found


def stages() -> list[str]:
    """Class names of the stages of the pipeline, in their order."""
    value = assigned(REGISTRATION / "pipeline.py", "STAGES")
    return [node.func.id for node in ast.walk(value) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]


def tables() -> str:
    """The table of the rules and that of the thresholds, in Markdown."""
    return "\n".join(
        [
            "| rule | what it does |",
            "|---|---|",
            *(f"| `{name}` | {sentence} |" for name, sentence in rules().items()),
            "",
            "| stage | threshold | value | meaning and evidence |",
            "|---|---|---|---|",
            *(f"| {group} | `{name}` | `{value}` | {comment} |" for group, name, value, comment in thresholds()),
        ]
    )


def main() -> None:
    """Replaces the tables in the document."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
