"""The models with their descriptions, and the devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ...scene.registration.model_folders import modelNames
from ...scene.registration_options import AUTOMATIC
from ..pytorch import isTorchInstalled
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_SETTING = "UnsupervisedRegistration/Models"  # Paths as JSON: a list of one comes back from Qt's settings as a text.


class ModelSection(Section):
    """The list of models with their cards, and the list of devices."""

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        self._card = ""
        self._listModels()
        _fill(self.ui.deviceSelector, {"auto": "auto", "cpu": "cpu"})
        connect(self.ui.modelSelector, "currentIndexChanged(int)", self.onModel)
        connect(self.ui.deviceSelector, "currentIndexChanged(int)", self.onDevice)
        connect(self.ui.modelsButton, "contentsCollapsed(bool)", self.onCollapsed)
        connect(self.ui.addModelButton, "clicked(bool)", self.onAddFile)
        connect(self.ui.addFolderButton, "clicked(bool)", self.onAddFolder)
        connect(self.ui.removeModelButton, "clicked(bool)", self.onRemove)

    def update(self) -> None:
        """Shows the chosen model and device; those that a script or a saved scene chose are added to the lists."""
        parameters = self.parameters
        _choose(self.ui.modelSelector, parameters.model, Path(parameters.model).stem)
        _choose(self.ui.deviceSelector, parameters.device, parameters.device)
        self.ui.removeModelButton.enabled = parameters.model in _added()
        self._showCard()

    def onModel(self, index: int) -> None:
        """Keeps the chosen model; the list is not bound because it depends on the files found."""
        if self.isShown and index >= 0:
            self.parameters.model = self.ui.modelSelector.itemData(index)

    def onDevice(self, index: int) -> None:
        """Keeps the chosen device; the list is not bound because it depends on the machine."""
        if self.isShown and index >= 0:
            self.parameters.device = self.ui.deviceSelector.itemData(index)

    def onCollapsed(self, collapsed: bool) -> None:
        """Reads cards and devices when the section is opened; until then PyTorch is not needed."""
        if collapsed or not self.isShown:
            return
        if isTorchInstalled():
            from ...scene.registration.devices import deviceNames

            _fill(self.ui.deviceSelector, deviceNames())
        self.update()

    def onAddFile(self, checked: bool = False) -> None:
        """Adds a model file."""
        path = qt.QFileDialog.getOpenFileName(self.panel.parent, _("Add a model"), "", "*.pt")
        if path:
            self._add([path])

    def onAddFolder(self, checked: bool = False) -> None:
        """Adds the model files of a folder."""
        folder = qt.QFileDialog.getExistingDirectory(self.panel.parent, _("Add a folder of models"), "")
        if not folder:
            return
        files = sorted(str(path) for path in Path(folder).glob("*.pt"))
        if files:
            self._add(files)
        else:
            self.panel.say(_("'{folder}' contains no model file (.pt); choose another folder.").format(folder=folder))

    def onRemove(self, checked: bool = False) -> None:
        """Removes an added model from the list; the file is not deleted."""
        gone = self.parameters.model
        qt.QSettings().setValue(_SETTING, json.dumps([path for path in _added() if path != gone]))
        self._listModels()
        self.parameters.model = AUTOMATIC

    def _add(self, paths: list[str]) -> None:
        with self.panel.attempt():
            if isTorchInstalled():
                from ...scene.registration.candidate_models import openModel

                for path in paths:  # A file that is not a model is refused now rather than at Apply.
                    openModel(path)
            qt.QSettings().setValue(_SETTING, json.dumps(list(dict.fromkeys([*_added(), *paths]))))
            self._listModels()
            self.parameters.model = paths[0]

    def _listModels(self) -> None:
        names = {AUTOMATIC: _("Automatic")} | {name: name for name in modelNames()}
        _fill(self.ui.modelSelector, names | {path: Path(path).stem for path in _added()})

    def _showCard(self) -> None:
        name, label = self.parameters.model, self.ui.modelCardLabel
        if self.ui.modelsButton.collapsed or self._card == name:
            return
        if name == AUTOMATIC:
            label.text = _(
                "Every model that may fit registers the pair; the best result decides. The reason is shown below Apply."
            )
        elif not isTorchInstalled():
            label.text = _("Model descriptions need PyTorch; Apply offers to install it.")
            return
        else:
            label.text = ""  # In case this model cannot be read.
            with self.panel.attempt():
                label.text = _cardText(name)
        self._card = name


def _added() -> list[str]:
    """Paths of the model files that the user added."""
    return json.loads(qt.QSettings().value(_SETTING, "[]") or "[]")


def _cardText(name: str) -> str:
    """Description, training data, licence and scores of a model."""
    from ...scene.registration.candidate_models import openModel

    card = openModel(name).card
    scores = ", ".join(f"{key} {value:.3g}" for key, value in card.scores.items())
    parts = {_("Training data"): card.data, _("Licence"): card.licence, _("Scores"): scores}
    return "\n".join([card.description, *(f"{key}: {text}" for key, text in parts.items() if text)])


def _fill(comboBox: Any, entries: dict[str, str]) -> None:
    """Offers texts, each with its value, without a signal."""
    quiet = comboBox.blockSignals(True)
    comboBox.clear()
    for value, text in entries.items():
        comboBox.addItem(text, value)
    comboBox.blockSignals(quiet)


def _choose(comboBox: Any, value: str, text: str) -> None:
    """Shows a value, which is added to the list if it is not there."""
    quiet = comboBox.blockSignals(True)
    if comboBox.findData(value) < 0:
        comboBox.addItem(text, value)
    comboBox.setCurrentIndex(comboBox.findData(value))
    comboBox.blockSignals(quiet)
