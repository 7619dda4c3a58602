"""Uses the panel as a person would, from the sample to the reopened scene: ``make tour`` writes ``out/tour``.

Every step leaves a picture of the panel beside what the slice view shows, and the figures go to ``report.json``. A step
that does not hold ends the tour with an error.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import slicer.util
import torch
from matplotlib.image import imread, imsave

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "Testing"))

import host  # noqa: E402 - found only through the line above

MODULE = ROOT / "UnsupervisedRegistration" / "UnsupervisedRegistration.py"
WIDTH = 391  # Pixels of the panel in Slicer's default window.
SLICES = 20
UPDATES = 200
STEPS = 100
_OPEN = (
    "import sys, time; sys.path.insert(0, {testing!r}); import host; host.start(); begin = time.perf_counter();"
    " host.loadModule({module!r}); print(time.perf_counter() - begin, 'torch' in sys.modules)"
)


class Tour:
    """The panel, the red view, and where pictures and figures go."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.report = folder, {}
        self.pictures = 0
        host.start()
        self.loaded = host.loadModule(MODULE)
        self.widget, self.ui = self.loaded.widget, self.loaded.widget.ui

    @property
    def red(self) -> Any:
        return slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")

    def picture(self, name: str, *sections: str) -> Path:
        """Panel and slice view beside each other, with only some of the collapsed sections open."""
        for section in ("landmarks", "results", "advanced", "start", "volume", "outputs", "models"):
            getattr(self.ui, f"{section}Button").collapsed = section not in sections
        self.pictures += 1
        path = self.folder / f"{self.pictures:02d}-{name}.png"
        panel, view = self.folder / "panel.tmp.png", self.folder / "view.tmp.png"
        host.grab(self.loaded.panel, panel, WIDTH)
        host.grabSlice(self.red, view, (440, 440))
        _beside(panel, view, path)
        for part in (panel, view):
            part.unlink()
        return path

    def slicePixels(self) -> np.ndarray:
        """What the red view shows."""
        path = self.folder / "view.tmp.png"
        host.grabSlice(self.red, path, (440, 440))
        pixels = imread(path)
        path.unlink()
        return pixels

    def settle(self) -> None:
        """Waits until Live has shown the last change."""
        host.waitUntil(lambda: not self.widget.live.isOn or not self.widget.live.isBusy)


def main() -> None:
    """Takes the tour, then the measurements."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    tour = Tour(ROOT / "out" / "tour")
    tour.report["machine"] = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads of torch"
    tour.report["load when it began"] = os.getloadavg()[0]
    for step in (openModule, loadSample, scrollLive, placeLandmarks, refineTwice, showOverlays, restoreAndReopen):
        step(tour)
    registerWholeVolume(tour)
    for step in (scrollLarge, updateOften):
        step(tour)
    if host.uncaught or host.messages:
        raise RuntimeError(f"unexpected: {host.uncaught} {host.messages}")
    (tour.folder / "report.json").write_text(json.dumps(tour.report, indent=2) + "\n")
    print(json.dumps(tour.report, indent=2))


def openModule(tour: Tour) -> None:
    """In an interpreter of its own, as the first panel after the start."""
    code = _OPEN.format(testing=str(ROOT / "Testing"), module=str(MODULE))
    seconds, usesTorch = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()[-2:]
    tour.report["seconds to open the module"] = round(float(seconds), 3)
    _holds(usesTorch == "False", "opening the module imports no torch")


def loadSample(tour: Tour) -> None:
    """Sample Data > RegistrationHead, and both volumes chosen."""
    fixed, moving, *_ = host.clickSample("RegistrationHead")
    tour.ui.fixedSelector.setCurrentNode(fixed)
    tour.ui.movingSelector.setCurrentNode(moving)
    tour.picture("sample-chosen")


def scrollLive(tour: Tour) -> None:
    """Live on, and the wheel turned."""
    tour.ui.liveButton.click()
    tour.settle()
    tour.picture("live")
    names = []
    for step in range(SLICES):
        tour.red.SetSliceOffset(-28.0 + 4.0 * (step % 15))
        tour.settle()
        names.append(tour.ui.statusLabel.text.split(":")[0])
    _holds(len(set(names)) == 15, f"every slice was followed: {names}")
    tour.red.SetSliceOffset(0.0)
    tour.settle()
    tour.picture("scrolled")


def placeLandmarks(tour: Tour) -> None:
    """Six points placed in turn, each partner corrected; Live is on and the proposals come from it."""
    ui = tour.ui
    ui.createLandmarksButton.click()
    fixed, moving = ui.fixedLandmarksSelector.currentNode(), ui.movingLandmarksSelector.currentNode()
    truth = [slicer.util.getNode(f"Head{which}Landmarks") for which in ("Fixed", "Moving")]
    ui.placeButton.click()
    for index in range(6):
        positions = [node.GetNthControlPointPositionWorld(index) for node in truth]
        fixed.AddControlPointWorld(*positions[0])  # As the click of the mouse does while a point is being placed.
        if index == 0:
            tour.picture("partner-proposed", "landmarks")
        moving.SetNthControlPointPosition(index, *positions[1])  # Where it belongs in the image, however it is drawn.
        ui.nextPointButton.click()
    ui.placeButton.click()
    for node in truth:
        node.SetDisplayVisibility(False)
    host.waitUntil(lambda: ui.landmarkTable.rowCount == 6)
    tour.picture("landmarks-placed", "landmarks")
    ui.liveButton.click()


def refineTwice(tour: Tour) -> None:
    """Apply, refined, and then steered by the landmarks."""
    ui = tour.ui
    ui.presetSelector.setCurrentText("fast")
    ui.applyButton.click()
    plain = _meanError(tour)
    ui.presetSelector.setCurrentText("standard")
    ui.applyButton.click()
    refined = _meanError(tour)
    tour.picture("refined", "results", "advanced")
    ui.steerCheckBox.checked = True
    ui.applyButton.click()
    steered = _meanError(tour)
    tour.picture("steered-by-landmarks", "landmarks", "results")
    tour.report["landmarks, mean mm"] = {"network": plain, "refined": refined, "steered": steered}
    _holds(ui.resultTable.rowCount == 3, "every Apply is kept")
    _holds(steered < plain, "landmarks that steer come closer")
    ui.resultTable.selectRow(0)
    ui.resultTable.item(1, 0).setSelected(True)
    ui.compareResultsButton.click()
    tour.picture("two-compared", "results")
    host.answers.append(str(tour.folder / "landmarks.csv"))
    ui.exportButton.click()
    lines = (tour.folder / "landmarks.csv").read_text(encoding="utf-8").splitlines()
    _holds(len(lines) == 1 + 6 + 4, "the file holds a header, six points and a summary of four lines")


def showOverlays(tour: Tour) -> None:
    """Every way to see the fit; switched off, the views are as they were."""
    ui = tour.ui
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    ui.overlaySelector.setCurrentText("Off")
    layers.SetForegroundOpacity(0.3)
    for index in range(1, ui.overlaySelector.count):
        ui.overlaySelector.setCurrentIndex(index)
        slicer.app.processEvents()
        tour.picture(ui.overlaySelector.currentText.lower().replace(" ", "-"))
    ui.overlaySelector.setCurrentText("Blend")
    for drawn in ("Grid", "Arrows", "Hidden"):
        ui.deformationSelector.setCurrentText(drawn)
        if drawn != "Hidden":
            tour.picture(f"deformation-{drawn.lower()}")
    ui.overlaySelector.setCurrentText("Off")
    _holds(layers.GetForegroundOpacity() == 0.3, "the views are given back as they were")
    ui.overlaySelector.setCurrentText("Blend")


def restoreAndReopen(tour: Tour) -> None:
    """An older result shown, everything saved, closed and opened: the same overlay, the same table."""
    ui = tour.ui
    ui.resultTable.clearSelection()
    ui.resultTable.selectRow(2)
    ui.showResultButton.click()
    slicer.app.processEvents()
    tour.picture("older-result-shown", "landmarks", "results")
    pixels, table = tour.slicePixels(), _tableTexts(ui.landmarkTable)
    results = _tableTexts(ui.resultTable)
    path = tour.folder / "scene.mrb"
    host.saveScene(slicer.mrmlScene, path)
    host.openScene(slicer.mrmlScene, path)
    slicer.app.processEvents()
    host.waitUntil(lambda: ui.landmarkTable.rowCount == len(table))
    tour.picture("reopened", "landmarks", "results")
    _holds(_tableTexts(ui.landmarkTable) == table, "the table is the same after reopening")
    now = _tableTexts(ui.resultTable)
    _holds(now == results, f"the results are the same after reopening: {results} and {now}")
    difference = float(np.abs(tour.slicePixels() - pixels).max())
    tour.report["largest difference of a pixel after reopening, of 1"] = round(difference, 4)
    _holds(difference < 0.02, f"the overlay is the same after reopening, not {difference:.3f} apart")
    host.setDark(True)
    tour.picture("dark", "landmarks", "results")
    host.setDark(False)


def registerWholeVolume(tour: Tour) -> None:
    """Cancelled first, which leaves everything as it was; then done, in both themes, with every section looked at."""
    ui, show, seen = tour.ui, tour.widget.longWork.showProgress, []

    def showAndCancel(step: str, share: float) -> None:
        seen.append(step)
        if len(seen) == 2:
            tour.widget.longWork._began -= 20  # As if it had taken so long, for the time left.
            ui.cancelButton.click()
            ui.progressBar.value = round(100 * share)
            tour.widget.say(f"Registering, {20 * (1 - share) / max(share, 0.1):.0f} s left")
            tour.picture("whole-volume-at-work", "volume")
        show(step, share)

    moving = ui.movingSelector.currentNode()
    before = (slicer.mrmlScene.GetNumberOfNodes(), moving.GetTransformNodeID())
    tour.widget.longWork.showProgress = showAndCancel
    ui.registerVolumeButton.click()
    tour.widget.longWork.showProgress = show
    _holds(ui.statusLabel.text == "Cancelled; everything is as it was.", f"it was cancelled: {ui.statusLabel.text}")
    _holds((slicer.mrmlScene.GetNumberOfNodes(), moving.GetTransformNodeID()) == before, "nothing has changed")
    begin = time.perf_counter()
    ui.registerVolumeButton.click()
    tour.report["seconds for a volume of 15 slices"] = round(time.perf_counter() - begin, 1)
    for theme in ("light", "dark"):
        host.setDark(theme == "dark")
        tour.picture(f"start-and-volume-{theme}", "start", "volume")
        tour.picture(f"advanced-outputs-models-{theme}", "advanced", "outputs", "models")
    host.setDark(False)


def scrollLarge(tour: Tour) -> None:
    """The time of a slice of 256 x 256, from the change of the view to the finished overlay."""
    slicer.mrmlScene.Clear(0)
    fixed, moving, *_ = host.clickSample("RegistrationHead")
    for volume in (fixed, moving):
        voxels = slicer.util.arrayFromVolume(volume)
        rows, columns = ((256 - n) // 2 for n in voxels.shape[1:])
        padding = [(0, 0), (rows, 256 - rows - voxels.shape[1]), (columns, 256 - columns - voxels.shape[2])]
        slicer.util.updateVolumeFromArray(volume, np.pad(voxels, padding))
    ui, times = tour.ui, {"network": [], "grid update": [], "view change to overlay": []}
    ui.fixedSelector.setCurrentNode(fixed)
    ui.movingSelector.setCurrentNode(moving)
    ui.liveButton.click()
    tour.settle()
    live = tour.widget.live.controller
    steps, shown = live._steps, live._shown
    compute, show = steps.compute, steps.show
    steps.compute = lambda *request: _timed(times["network"], compute, *request)
    steps.show = lambda *request: _timed(times["grid update"], show, *request)
    live._shown = lambda outcome, ms: (
        times["view change to overlay"].append(ms),
        shown(outcome, ms),
    )
    for step in range(STEPS):
        tour.red.SetSliceOffset(-28.0 + 4.0 * (step % 15))
        tour.settle()
    sums = np.add(times["network"], times["grid update"])
    tour.report[f"ms over {STEPS} scroll steps, 256 x 256"] = {
        name: {f"p{q}" if q < 100 else "max": round(float(np.percentile(values, q)), 1) for q in (50, 90, 100)}
        for name, values in (times | {"network and grid update": sums}).items()
    }
    tour.report["load while scrolling"] = os.getloadavg()[0]
    ui.liveButton.click()


def updateOften(tour: Tour) -> None:
    """Many live updates leave no node, observer, thread or memory behind."""
    ui, before = tour.ui, {}
    ui.liveButton.click()
    for update in range(UPDATES + 20):
        if update == 20:  # Until then memory that is used again has been taken.
            before = _things(tour)
        tour.red.SetSliceOffset(-28.0 + 4.0 * (update % 15))
        tour.settle()
    after = _things(tour)
    ui.liveButton.click()
    grown = after.pop("memory, MB") - before.pop("memory, MB")
    tour.report[f"before and after {UPDATES} live updates"] = {name: [before[name], after[name]] for name in after}
    tour.report[f"memory grown over {UPDATES} live updates, MB"] = round(grown, 1)
    _holds(before == after, "nothing is left behind")


def _things(tour: Tour) -> dict[str, float]:
    gc.collect()
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    observers = sum(
        len(observer.Observations) for observer in (tour.widget, tour.widget.live.controller, *_mixins(tour))
    )
    pages = (
        int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) if Path("/proc/self/statm").exists() else 0
    )
    memory = pages * resource.getpagesize() / 2**20
    return {"nodes": nodes, "observers": observers, "threads": threading.active_count(), "memory, MB": memory}


def _mixins(tour: Tour) -> list[Any]:
    return [section for section in tour.widget.sections if hasattr(section, "Observations")]


def _timed(times: list[float], work: Any, *request: Any) -> Any:
    begin = time.perf_counter()
    outcome = work(*request)
    times.append(1000 * (time.perf_counter() - begin))
    return outcome


def _meanError(tour: Tour) -> float:
    rows = _tableTexts(tour.ui.landmarkTable)
    return round(float(np.mean([float(row[2]) for row in rows])), 2)


def _tableTexts(table: Any) -> list[list[str]]:
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def _beside(left: Path, right: Path, path: Path) -> None:
    """Two pictures in one, on grey."""
    pictures = [imread(file)[..., :3] for file in (left, right)]
    height = max(len(picture) for picture in pictures)
    imsave(
        path,
        np.concatenate(
            [np.pad(p, [(0, height - len(p)), (0, 0), (0, 0)], constant_values=0.25) for p in pictures], axis=1
        ),
    )


def _holds(statement: bool, sentence: str) -> None:
    if not statement:
        raise AssertionError(f"it does not hold that {sentence}")


if __name__ == "__main__":
    main()
