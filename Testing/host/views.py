"""Pictures of slice views as Slicer draws them, without a window: images, markups and the deformation."""

from __future__ import annotations

import functools
import os
from typing import Any

import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

_MANAGERS = (
    *("vtkMRMLMarkupsDisplayableManager", "vtkMRMLTransformsDisplayableManager2D"),
    *("vtkMRMLCrosshairDisplayableManager", "vtkMRMLRulerDisplayableManager"),
    "vtkMRMLColorLegendDisplayableManager",
)


_views: dict[str, _SliceView] = {}
"""Views that were asked for, by layout name; as in the application they stay, since some managers need to see a node
come to draw it."""


def openSlice(sliceNode: Any) -> None:
    """Let a slice view of the application be drawn from now on."""
    name = sliceNode.GetLayoutName()
    if name not in _views:
        _registerManagers()
        _views[name] = _SliceView(slicer.app.layoutManager().sliceLogic(name))


def grabSlice(sliceNode: Any, path: str | os.PathLike, size: tuple[int, int] = (400, 400)) -> None:
    """Save what a slice view of the application shows."""
    openSlice(sliceNode)
    _views[sliceNode.GetLayoutName()].write(path, size)


def dragInSlice(sliceNode: Any, start: Any, end: Any) -> None:
    """Drag what the mouse takes in a slice view from one position to another, RAS mm."""
    openSlice(sliceNode)
    _views[sliceNode.GetLayoutName()].drag(start, end)


def closeSlices() -> None:
    """Give the windows back."""
    while _views:
        _views.popitem()[1].close()


class _SliceView:
    """One slice logic drawn into a hidden window."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic
        self._window, self._renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
        self._window.SetOffScreenRendering(True)
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        picture = vtk.vtkActor2D()
        picture.SetMapper(self._mapper)
        picture.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(picture)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        self._group.SetMRMLDisplayableNode(logic.GetSliceNode())
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetDisplayableManagers(self._group)
        self._style.SetSliceLogic(logic)

    def write(self, path: str | os.PathLike, size: tuple[int, int]) -> None:
        """Draw and save as PNG."""
        self._window.SetSize(size)
        self._resize(size)
        self._logic.UpdatePipeline()
        connection = self._logic.GetImageDataConnection()
        if connection is not None:
            self._mapper.SetInputConnection(connection)
        self._window.Render()
        capture = vtk.vtkWindowToImageFilter()
        capture.SetInput(self._window)
        capture.ReadFrontBufferOff()
        writer = vtk.vtkPNGWriter()
        writer.SetInputConnection(capture.GetOutputPort())
        writer.SetFileName(str(path))
        writer.Write()
        shown = vtk_to_numpy(capture.GetOutput().GetPointData().GetScalars())
        if not shown.any():
            raise OSError(f"the slice view '{self._logic.GetSliceNode().GetName()}' drew nothing into {path}")

    def drag(self, start: Any, end: Any) -> None:
        """Presses the left button at one position, moves to another and lets go."""
        self._mouse("MouseMoveEvent", start)
        self._mouse("LeftButtonPressEvent", start)
        self._mouse("MouseMoveEvent", end)
        self._mouse("LeftButtonReleaseEvent", end)

    def _mouse(self, event: str, position: Any) -> None:
        """Offers an event to all that is drawn; whatever is nearest to the mouse takes it, as in the application."""
        view, rasToXy = self._logic.GetSliceNode(), vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), rasToXy)
        x, y, *_ = rasToXy.MultiplyPoint((*position, 1.0))
        data = slicer.vtkMRMLInteractionEventData()
        data.SetType(getattr(vtk.vtkCommand, event))
        data.SetDisplayPosition([round(x), round(y)])
        data.SetWorldPosition(list(position))
        data.SetViewNode(view)
        data.SetRenderer(self._renderer)
        self._style.DelegateInteractionEventDataToDisplayableManagers(data)

    def close(self) -> None:
        self._group.SetMRMLDisplayableNode(None)
        self._window.Finalize()

    def _resize(self, size: tuple[int, int]) -> None:
        """Keeps the middle and the zoom of the view."""
        node = self._logic.GetSliceNode()
        dimensions, extent = node.GetDimensions(), node.GetFieldOfView()
        scale = max(extent[0] / dimensions[0], extent[1] / dimensions[1]) * max(
            dimensions[0] / size[0], dimensions[1] / size[1]
        )
        self._logic.ResizeSliceNode(*size)
        node.SetFieldOfView(scale * size[0], scale * size[1], extent[2])


@functools.cache
def _registerManagers() -> None:
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
    for name in _MANAGERS:
        factory.RegisterDisplayableManager(name)
