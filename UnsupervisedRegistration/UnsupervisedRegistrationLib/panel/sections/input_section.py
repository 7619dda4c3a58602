"""The slice and the masks, which are not bound to the parameters by Slicer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ...interaction import inputs
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel


class InputSection(Section):
    """Offers a view or an index, and two masks; a mask may be a segmentation or a labelmap."""

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        ui = self.ui
        for selector, name in ((ui.maskSelector, "mask"), (ui.movingMaskSelector, "movingMask")):
            connect(
                selector, "currentNodeChanged(vtkMRMLNode*)", lambda node, name=name: self.onMaskChanged(name, node)
            )
        for button, moving in ((ui.maskButton, False), (ui.movingMaskButton, True)):
            connect(button, "clicked(bool)", lambda checked, moving=moving: self.onForeground(moving))

    def update(self) -> None:
        """Shows the view or the index, and the masks."""
        parameters, ui = self.parameters, self.ui
        inView = inputs.isInView(parameters)
        ui.sliceViewLabel.visible = ui.sliceViewSelector.visible = inView
        ui.sliceIndexLabel.visible = ui.sliceIndexSpinBox.visible = not inView
        last = inputs.countSlices(parameters) - 1
        ui.sliceIndexSpinBox.setRange(0, max(parameters.sliceIndex, last) if inView else last)
        ui.maskSelector.setCurrentNode(parameters.mask)
        ui.movingMaskSelector.setCurrentNode(parameters.movingMask)

    def onMaskChanged(self, name: str, node: Any) -> None:
        """Stores the chosen mask."""
        if self.isShown:
            setattr(self.parameters, name, node)

    def onForeground(self, moving: bool) -> None:
        """Makes a mask of where a volume shows the patient, and chooses it."""
        with self.panel.attempt():
            mask = self.logic.addForegroundMask(self.parameters, moving)
            self.panel.say(_("'{name}' is the mask now.").format(name=mask.GetName()))
