"""Draws the packages and their imports, from the code: ``make architecture``.

Writes ``Resources/architecture.png`` and the table in ``Resources/Documentation/architecture.md``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).parents[1]
MODULE = ROOT / "UnsupervisedRegistration"
LIBRARY = "UnsupervisedRegistrationLib"
DOCUMENT = ROOT / "Resources" / "Documentation" / "architecture.md"
PICTURE = ROOT / "Resources" / "architecture.png"
BEGIN, END = "<!-- written by Testing/draw_architecture.py -->", "<!-- end -->"

Graph = dict[str, set[str]]
"""Package to the packages that it imports."""


def imports(path: Path, top: Path) -> set[str]:
    """Absolute names of what a file imports, at file scope or inside functions."""
    package = path.relative_to(top).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{stem}.{alias.name}" for alias in node.names}
    return found


def layers() -> Graph:
    """The layers of the project: packages of the library, the module file, and training."""
    folders = {p.parent.name: p.parent for p in (MODULE / LIBRARY).glob("*/__init__.py")}
    graph: Graph = {name: set() for name in ("module", *folders, "training")}
    files = [("module", MODULE / f"{MODULE.name}.py", MODULE)]
    files += [(name, path, MODULE) for name, folder in folders.items() for path in folder.rglob("*.py")]
    files += [("training", path, ROOT) for path in (ROOT / "training").rglob("*.py")]
    for layer, path, top in files:
        parts = [name.split(".") for name in imports(path, top)]
        graph[layer] |= {name[1] for name in parts if name[0] == LIBRARY and len(name) > 1} & set(folders)
    return {name: found - {name} for name, found in graph.items()}


def packagesOf(layer: str) -> Graph:
    """The packages inside a layer of the library."""
    folders = {p.parent.name: p.parent for p in (MODULE / LIBRARY / layer).glob("*/__init__.py")}
    graph: Graph = {}
    for name, folder in folders.items():
        parts = [n.split(".") for path in folder.rglob("*.py") for n in imports(path, MODULE)]
        graph[name] = {n[2] for n in parts if n[:2] == [LIBRARY, layer] and len(n) > 2} & set(folders) - {name}
    return graph


def reduced(graph: Mapping[str, set[str]]) -> Graph:
    """Without the arrows that others imply, so that the picture stays readable."""

    def reached(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        ahead = graph[name] - seen
        return ahead | {far for next_ in ahead for far in reached(next_, seen | {name})}

    return {name: {n for n in found if not any(n in reached(o) for o in found - {n})} for name, found in graph.items()}


def heights(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """Level of each package: one above the highest that it imports."""

    def height(name: str) -> int:
        return 1 + max((height(other) for other in graph[name]), default=-1)

    return {name: height(name) for name in graph}


def placed(graph: Graph) -> dict[str, tuple[float, int]]:
    """Position of each box: its level, and in the level near what it imports."""
    levels, places = heights(graph), dict[str, tuple[float, int]]()

    def middle(name: str) -> float:
        return float(np.mean([places[other][0] for other in graph[name]] or [0.5]))

    for level in sorted(set(levels.values())):
        row = sorted((name for name in graph if levels[name] == level), key=lambda name: (middle(name), name))
        places |= {name: ((number + 0.5) / len(row), level) for number, name in enumerate(row)}
    return places


def draw(axes: Any, graph: Graph, title: str) -> None:
    """Boxes by level, arrows from a package to what it imports."""
    places = placed(graph)
    for name, others in sorted(reduced(graph).items()):
        for other in sorted(others):
            (x, y), (u, v) = places[name], places[other]
            bend = 0.25 if y - v > 1 else 0.0  # Past the boxes between.
            arrow = {"arrowstyle": "-|>", "color": "#5b6b7f", "lw": 1.3, "connectionstyle": f"arc3,rad={bend}"}
            axes.annotate("", xy=(u, v + 0.2), xytext=(x, y - 0.2), arrowprops=arrow, zorder=1)
    for name, (x, y) in places.items():
        width = 0.03 + 0.021 * len(name)
        box = FancyBboxPatch(
            (x - width / 2, y - 0.17), width, 0.34, boxstyle="round,pad=0.012", zorder=2, fc="#e8f0fa", ec="#2f5d8f"
        )
        axes.add_patch(box)
        axes.text(x, y, name, ha="center", va="center", fontsize=11, zorder=3)
    axes.set(xlim=(0, 1), ylim=(-0.5, max(level for _, level in places.values()) + 0.5), title=title)
    axes.set_axis_off()


def table() -> str:
    """Every layer and package with what it imports, in Markdown."""
    inside = {f"core/{name}": {f"core/{n}" for n in found} for name, found in packagesOf("core").items()}
    names = {"module": "`UnsupervisedRegistration.py`"}
    rows = [
        f"| {names.get(name, f'`{name}`')} | {', '.join(f'`{n}`' for n in sorted(found)) or '-'} |"
        for graph in (layers(), inside)
        for name, found in sorted(graph.items(), key=lambda item: (heights(graph)[item[0]], item[0]))
    ]
    return "\n".join(["| package | imports |", "|---|---|", *rows])


def main() -> None:
    """Writes the picture and the table."""
    figure = Figure(figsize=(11, 6), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    draw(left, layers(), "Layers: an arrow points to what is imported")
    draw(right, packagesOf("core"), "Packages of core")
    figure.savefig(PICTURE, dpi=100)
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    behind = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table()}\n{END}{behind}", encoding="utf-8")


if __name__ == "__main__":
    main()
