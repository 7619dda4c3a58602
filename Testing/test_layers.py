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
    "scene": (
        MODULE / LIBRARY / "scene",
        {"scene", "core"},
        {"slicer", "vtk", "numpy", "SimpleITK", "torch", "pydicom"},
    ),
    "headless": (
        MODULE / LIBRARY / "headless",
        {"headless", "scene"},
        {"slicer", "vtk", "numpy", "SimpleITK", "matplotlib", "argcomplete", "fpdf", "torch", "pydicom"},
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
MORE_PACKAGES = {
    f"UnsupervisedRegistration/{LIBRARY}/core/registration/prealignment.py": {"SimpleITK"},
    f"UnsupervisedRegistration/{LIBRARY}/headless/cohort/cluster.py": {"dask", "distributed", "dask_jobqueue"},
}


# Modules of core that load no torch.
WITHOUT_TORCH = ("evaluation.tolerances", "images.phantom", "models.selection", "registration.options")


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
            "reporting.label_overlap",
            "reporting.quality",
            "registration.result_nodes",
        ),
        *("registration.slice_pair", "registration.slice", "reporting.summary", "registration.sequence"),
        "registration.volume",
        "registration.slice_search",
        "registration.slice_batch",
        "reporting.structures",
        *("reporting.evidence", "reporting.report_region", "reporting.quality_report", "reporting.report_files"),
        *("reporting.report_html", "reporting.report_pictures", "reporting.report_words", "reporting.validation"),
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
        calls = [
            node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ]
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


# Package of core: packages of core that it may import besides itself.
CORE = {
    "spatial": set(),
    "similarity": {"spatial"},
    "images": {"spatial", "similarity"},
    "networks": {"spatial", "similarity"},
    "models": {"spatial", "similarity", "images", "networks"},
    "registration": {"spatial", "similarity", "images", "networks", "models"},
    "evaluation": {"spatial", "similarity"},
}


def coreViolations() -> list[str]:
    """Files of core and what they import from a package of core that they must not see."""
    found = []
    for path in filesOf("core"):
        package = path.relative_to(LAYERS["core"][0]).parts[0]
        for name, _ in importsOf(path):
            parts = name.split(".")
            if parts[:2] == [LIBRARY, "core"] and package in CORE and parts[2] not in CORE[package] | {package}:
                found.append(f"{package}/{path.name} imports {name}")
    return found


def test_every_package_of_core_has_its_place() -> None:
    assert {path.name for path in LAYERS["core"][0].iterdir() if (path / "__init__.py").is_file()} == CORE.keys()


def test_a_package_of_core_imports_only_those_below_it() -> None:
    assert coreViolations() == []


@pytest.mark.parametrize(
    ("package", "statement", "violates"),
    [
        ("evaluation", "from ..images.crop import prepare", True),
        ("evaluation", "from ..similarity.losses import mind", False),
        ("images", "from .. import registration", True),
        ("networks", "def f():\n    from ..images import crop", True),
        ("registration", "from ..models.card import Card", False),
    ],
)
def test_an_import_against_the_order_of_core_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, statement: str, violates: bool
) -> None:
    monkeypatch.setitem(globals(), "MODULE", tmp_path)
    monkeypatch.setitem(LAYERS, "core", (tmp_path / LIBRARY / "core", {"core"}, set()))
    path = tmp_path / LIBRARY / "core" / package / "example.py"
    path.parent.mkdir(parents=True)
    path.write_text(statement)
    assert bool(coreViolations()) == violates


REGISTRATION = f"{LIBRARY}.core.registration"
STEPS = {
    f"{LIBRARY}.core.images.crop.prepare",
    f"{REGISTRATION}.prediction.predict",
    f"{REGISTRATION}.instance_optimisation.optimise",
}
"""What only ``run`` does, so that there is one path for a pair."""
MAY_TAKE_STEPS = {
    f"core/registration/{name}.py"
    for name in ("stages/network_stages", "stages/optimisation_stages", "stages/result_stages", "uncertainty")
}


def test_only_the_pipeline_prepares_predicts_and_optimises() -> None:
    taken: set[str] = set()
    for path in [path for layer in LAYERS for path in filesOf(layer)]:
        steps = STEPS & {name for name, _ in importsOf(path)}
        taken |= steps
        library = MODULE / LIBRARY
        place = path.relative_to(library).as_posix() if library in path.parents else path.relative_to(ROOT).as_posix()
        assert place in MAY_TAKE_STEPS or not steps, f"{place} imports {sorted(steps)}"
    assert taken == STEPS  # Else a step was renamed, and this test would see nothing.


def test_nobody_reaches_the_steps_through_their_modules() -> None:
    """``from . import prediction`` would hide which of its functions is called."""
    modules = {step.rpartition(".")[0] for step in STEPS}
    for path in [path for layer in LAYERS for path in filesOf(layer)]:
        assert not modules & {name for name, _ in importsOf(path)}, path.name


def numericConstants(path: Path) -> list[str]:
    """Names of the numbers, and of tuples of them, that a module assigns at file scope in capitals."""
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        names = node.targets if isinstance(node, ast.Assign) else [node.target]
        leaves = [leaf for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant)]
        numbers = leaves and all(isinstance(leaf.value, (int, float)) for leaf in leaves)
        capitals = [name.id for name in names if isinstance(name, ast.Name) and name.id.isupper()]
        found += capitals if numbers else []
    return found


def test_the_thresholds_of_the_method_stand_in_the_plan_only() -> None:
    registration = MODULE / LIBRARY / "core" / "registration"
    bounds = ["STIFFEST"]  # What the options refuse; they load no torch, which the plan needs.
    elsewhere = [name for path in registration.glob("*.py") if path.stem != "plan" for name in numericConstants(path)]
    assert elsewhere == bounds
    assert len(numericConstants(registration / "plan.py")) > 20
