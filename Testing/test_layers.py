"""The arrows of the architecture: who may import whom."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULE = ROOT / "UnsupervisedRegistration"
LIBRARY = "UnsupervisedRegistrationLib"

TRAINING_PACKAGES = {
    "torch",
    "numpy",
    "SimpleITK",
    "lightning",
    "torchio",
    "yaml",
    "matplotlib",
    "ants",
    "itk",
    "nibabel",
    "convexAdam",
    "cv2",
    "fireants",
    "picsl_greedy",
    "skimage",
}

# Layer: (files, layers of ours it may import, other packages it may import at all).
LAYERS = {
    "core": (MODULE / LIBRARY / "core", {"core"}, {"torch", "numpy"}),
    "scene": (MODULE / LIBRARY / "scene", {"scene", "core"}, {"slicer", "vtk", "numpy", "SimpleITK", "torch"}),
    "headless": (
        MODULE / LIBRARY / "headless",
        {"headless", "scene"},
        {"slicer", "vtk", "numpy", "SimpleITK", "matplotlib"},
    ),
    # What the panel and a page in the browser share, so it is free of Qt; only the panel and the module know Qt.
    "interaction": (MODULE / LIBRARY / "interaction", {"interaction", "scene"}, {"slicer", "vtk", "numpy", "torch"}),
    "panel": (
        MODULE / LIBRARY / "panel",
        {"panel", "interaction", "scene"},
        {"slicer", "vtk", "numpy", "qt", "SampleData", "torch", "PyTorchUtils"},
    ),
    "module": (
        MODULE / "UnsupervisedRegistration.py",
        {"panel", "interaction", "scene"},
        {"slicer", "numpy"},
    ),
    "training": (ROOT / "training", {"training", "core"}, TRAINING_PACKAGES),
}

# What single files may import beyond their layer.
MORE_PACKAGES = {f"UnsupervisedRegistration/{LIBRARY}/core/registration/prealignment.py": {"SimpleITK"}}


# Modules of core that load no torch.
WITHOUT_TORCH = ("images.phantom", "models.selection", "registration.options")


def filesOf(layer: str) -> list[Path]:
    place = LAYERS[layer][0]
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def importsOf(path: Path) -> list[tuple[str, bool]]:
    """Absolute names of all imported modules, ``from .. import scene`` included, and whether at file scope."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    atFileScope = {id(node) for node in tree.body}
    package = list(path.relative_to(MODULE if MODULE in path.parents else ROOT).parent.parts)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in atFileScope) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found += [(f"{stem}.{alias.name}", id(node) in atFileScope) for alias in node.names]
    return found


def layerOf(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] == LIBRARY:
        return parts[1] if len(parts) > 1 else None
    return "training" if parts[0] == "training" else None


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_the_layers_below_it(layer: str) -> None:
    for path in filesOf(layer):
        for name, _ in importsOf(path):
            assert layerOf(name) in LAYERS[layer][1] | {None}, f"{path.name} imports {name}"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_the_packages_it_is_allowed(layer: str) -> None:
    for path in filesOf(layer):
        for name, _ in importsOf(path):
            package = name.split(".")[0]
            known = package in sys.stdlib_module_names or package in (LIBRARY, "training")
            allowed = LAYERS[layer][2] | MORE_PACKAGES.get(path.relative_to(ROOT).as_posix(), set())
            assert known or package in allowed, f"{path.name} imports {package}"


def test_slicer_loads_no_torch_before_apply() -> None:
    """Only ``scene.registration`` and what stands on it may need torch at file scope, and nothing imports it early."""
    names = (
        *(
            "registration.candidate_models",
            "registration.foreground_mask",
            "reporting.judgement",
            "registration.result_nodes",
        ),
        *("registration.slice_pair", "registration.slice", "reporting.summary", "registration.sequence"),
        "registration.volume",
    )
    late = {f"{name.rpartition('.')[2]}.py" for name in names}
    for path in [*filesOf("module"), *filesOf("interaction"), *filesOf("panel"), *filesOf("scene")]:
        early = [name for name, atFileScope in importsOf(path) if atFileScope]
        needsTorch = [
            name
            for name in early
            if name.split(".")[0] == "torch"
            or (
                layerOf(name) == "core"
                and not name.startswith(tuple(f"{LIBRARY}.core.{free}" for free in WITHOUT_TORCH))
            )
            or name.startswith(tuple(f"{LIBRARY}.scene.{late}." for late in names))
        ]
        assert path.name in late or not needsTorch, f"{path.name} loads {needsTorch}"


def test_core_never_prints() -> None:
    for path in filesOf("core"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert "print" not in {call.id for call in calls if isinstance(call, ast.Name)}, path.name


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("from .. import scene", f"{LIBRARY}.scene"),
        ("from ..scene.planes import SlicePlane", f"{LIBRARY}.scene.planes.SlicePlane"),
        ("from . import grid", f"{LIBRARY}.core.grid"),
        ("import slicer.util", "slicer.util"),
    ],
)
def test_every_form_of_import_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, expected: str
) -> None:
    monkeypatch.setitem(globals(), "MODULE", tmp_path)
    path = tmp_path / LIBRARY / "core" / "example.py"
    path.parent.mkdir(parents=True)
    path.write_text(statement)
    assert importsOf(path) == [(expected, True)]
