"""Remembers how views showed their data before an overlay, and puts it back exactly.

The memory is a hidden node of the scene, so that a scene saved with an overlay on can be restored after loading.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import slicer
import slicer.util

_TAG = "UnsupervisedRegistrationViews"
_CONTENT = "UnsupervisedRegistration.Remembered"
_OWNED = "owned"
_PURPOSE = "UnsupervisedRegistration.Purpose"

# Only what the overlays change, so that a window or a zoom changed meanwhile stays.
_LAYERS = ("BackgroundVolumeID", "ForegroundVolumeID", "ForegroundOpacity", "Compositing", "LinkedControl")
_PROPERTIES = {
    "vtkMRMLSliceCompositeNode": _LAYERS,
    "vtkMRMLScalarVolumeDisplayNode": ("ColorNodeID",),
    "vtkMRMLTransformDisplayNode": (
        "Visibility",
        "Visibility2D",
        "VisualizationMode",
        "GridSpacingMm",
        "GridResolutionMm",
        "GlyphSpacingMm",
    ),
    "vtkMRMLLayoutNode": ("ViewArrangement",),
}
_SETTERS = {"ColorNodeID": "SetAndObserveColorNodeID"}


def remember(nodes: Iterable[slicer.vtkMRMLNode]) -> None:
    """Notes the present settings of nodes; what is remembered already stays as it was at first."""
    for node in nodes:
        memory = _memory(node.GetScene(), create=True)
        content = _content(memory)
        if _roleOf(node, memory):
            continue
        role = f"remembered{1 + max((int(known.removeprefix('remembered')) for known in content), default=-1)}"
        memory.SetNodeReferenceID(role, node.GetID())
        values = {name: getattr(node, f"Get{name}")() for name in _propertiesOf(node)}
        for name in values:
            if name.endswith("ID"):  # A scene that is added to another gives its nodes new IDs; references follow.
                memory.SetNodeReferenceID(f"{role}{name}", values[name])
                values[name] = None
        content[role] = values
        memory.SetAttribute(_CONTENT, json.dumps(content))


def restore(scene: slicer.vtkMRMLScene) -> None:
    """Gives all remembered nodes that are still there their settings back, and removes the nodes of the overlays."""
    memory = _memory(scene, create=False)
    if memory is None:
        return
    for role in _content(memory):
        restoreNode(memory.GetNodeReference(role))
    owned = [memory.GetNthNodeReference(_OWNED, n) for n in range(memory.GetNumberOfNodeReferences(_OWNED))]
    for node in owned:
        if node is not None:
            removeWithDisplay(node)
    scene.RemoveNode(memory)


def isOverlayShown(scene: slicer.vtkMRMLScene) -> bool:
    """Whether something is remembered, as while an overlay is shown."""
    return _memory(scene, create=False) is not None


def restoreNode(node: slicer.vtkMRMLNode | None) -> None:
    """Gives one node its remembered settings back; it stays remembered."""
    memory = None if node is None else _memory(node.GetScene(), create=False)
    if memory is None:
        return
    content = _content(memory)
    role = _roleOf(node, memory)
    with slicer.util.NodeModify(node):
        for name, value in content.get(role, {}).items():
            if name.endswith("ID"):
                referred = memory.GetNodeReference(f"{role}{name}")
                value = "" if referred is None else referred.GetID()
            getattr(node, _SETTERS.get(name, f"Set{name}"))(value)


def forget(node: slicer.vtkMRMLNode) -> None:
    """Leaves a node as it is, because the user has changed it meanwhile."""
    memory = _memory(node.GetScene(), create=False)
    role = "" if memory is None else _roleOf(node, memory)
    if role:
        content = _content(memory)
        del content[role]
        memory.SetAttribute(_CONTENT, json.dumps(content))
        memory.SetNodeReferenceID(role, None)


def ownedNode(scene: slicer.vtkMRMLScene, className: str, purpose: str) -> tuple[slicer.vtkMRMLNode, bool]:
    """The hidden node of the overlays for a purpose, and whether it is new; ``restore`` removes it."""
    known = findOwned(scene, purpose)
    if known is not None:
        return known, False
    node = scene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(f"Registration {purpose}")
    node.SetHideFromEditors(True)
    own(scene.AddNode(node), purpose)
    return node, True


def findOwned(scene: slicer.vtkMRMLScene, purpose: str) -> slicer.vtkMRMLNode | None:
    """The node of the overlays for a purpose, if there is one."""
    memory = _memory(scene, create=False)
    owned = [] if memory is None else range(memory.GetNumberOfNodeReferences(_OWNED))
    nodes = (memory.GetNthNodeReference(_OWNED, index) for index in owned)
    return next((node for node in nodes if node is not None and node.GetAttribute(_PURPOSE) == purpose), None)


def own(node: slicer.vtkMRMLNode, purpose: str) -> None:
    """Lets ``restore`` remove a node that an overlay has made."""
    node.SetAttribute(_PURPOSE, purpose)
    _memory(node.GetScene(), create=True).AddNodeReferenceID(_OWNED, node.GetID())


def removeWithDisplay(node: slicer.vtkMRMLNode) -> None:
    """Takes a node out of the scene, with the display and storage nodes that only it uses."""
    scene, parts = node.GetScene(), []
    if isinstance(node, slicer.vtkMRMLDisplayableNode):
        # The last first, since a colour legend asks for the display node that it belongs to.
        parts += [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())][::-1]
    if isinstance(node, slicer.vtkMRMLStorableNode):
        parts += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    for part in (*parts, node):
        if part is not None:
            scene.RemoveNode(part)


def _roleOf(node: slicer.vtkMRMLNode, memory: slicer.vtkMRMLScriptedModuleNode) -> str:
    """Under which a node is remembered, or nothing."""
    return next((role for role in _content(memory) if memory.GetNodeReferenceID(role) == node.GetID()), "")


def _propertiesOf(node: slicer.vtkMRMLNode) -> tuple[str, ...]:
    return next(names for kind, names in _PROPERTIES.items() if node.IsA(kind))


def _memory(scene: slicer.vtkMRMLScene, create: bool) -> slicer.vtkMRMLScriptedModuleNode | None:
    memory = scene.GetSingletonNode(_TAG, "vtkMRMLScriptedModuleNode")
    if memory is None and create:
        memory = slicer.vtkMRMLScriptedModuleNode()
        memory.SetSingletonTag(_TAG)
        memory.SetName(_TAG)
        memory.SetHideFromEditors(True)
        memory = scene.AddNode(memory)
    return memory


def _content(memory: slicer.vtkMRMLScriptedModuleNode) -> dict[str, dict[str, object]]:
    return json.loads(memory.GetAttribute(_CONTENT) or "{}")
