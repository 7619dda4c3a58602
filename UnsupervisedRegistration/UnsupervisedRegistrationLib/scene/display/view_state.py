"""The state of views and displays before an overlay, stored so that it can be restored exactly.

The state is stored in a hidden node of the scene, so that a scene that was saved with an overlay can be restored too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import slicer
import slicer.util

from ..scene_nodes import addHiddenNode, nodesByClass

_TAG = "UnsupervisedRegistrationViews"
_CONTENT = "UnsupervisedRegistration.Remembered"
_OWNED = "owned"
_PURPOSE = "UnsupervisedRegistration.Purpose"

# Only the properties that overlays change: window or zoom may be changed by the user meanwhile.
_LAYER_ATTRIBUTES = ("BackgroundVolumeID", "ForegroundVolumeID", "ForegroundOpacity", "Compositing", "LinkedControl")
_PROPERTIES = {
    "vtkMRMLSliceCompositeNode": _LAYER_ATTRIBUTES,
    "vtkMRMLScalarVolumeDisplayNode": ("ColorNodeID",),
    "vtkMRMLTransformDisplayNode": (
        "Visibility",
        "Visibility2D",
        "VisualizationMode",
        "GridSpacingMm",
        "GridResolutionMm",
        "GlyphSpacingMm",
        "ColorNodeID",
    ),
    "vtkMRMLLayoutNode": ("ViewArrangement",),
}
_SETTERS = {"ColorNodeID": "SetAndObserveColorNodeID"}


def remember(nodes: Iterable[slicer.vtkMRMLNode]) -> None:
    """Store the present state of nodes; a state that is stored already is kept."""
    for node in nodes:
        memory = _createdMemory(node.GetScene())
        content = _content(memory)
        if _roleOf(node, memory):
            continue
        role = f"remembered{1 + max((int(known.removeprefix('remembered')) for known in content), default=-1)}"
        memory.SetNodeReferenceID(role, node.GetID())
        values = {name: getattr(node, f"Get{name}")() for name in _propertiesOf(node)}
        for name in values:
            if name.endswith("ID"):  # Scene import changes IDs; references are updated.
                memory.SetNodeReferenceID(f"{role}{name}", values[name])
                values[name] = None
        content[role] = values
        memory.SetAttribute(_CONTENT, json.dumps(content))


def restoreViewState(scene: slicer.vtkMRMLScene) -> None:
    """Restore the state of all stored nodes that still exist, and remove the nodes that overlays created."""
    memory = _memory(scene)
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
    """Whether an overlay is shown, that is, whether a state is stored."""
    return _memory(scene) is not None


def restoreNode(node: slicer.vtkMRMLNode | None) -> None:
    """Restore the state of one node; the state stays stored."""
    memory = None if node is None else _memory(node.GetScene())
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
    """Drop the stored state of a node, because the user has changed the node meanwhile."""
    memory = _memory(node.GetScene())
    if memory is None:
        return
    role = _roleOf(node, memory)
    if role:
        content = _content(memory)
        del content[role]
        memory.SetAttribute(_CONTENT, json.dumps(content))
        memory.SetNodeReferenceID(role, None)


def ownedNode(scene: slicer.vtkMRMLScene, className: str, purpose: str) -> tuple[slicer.vtkMRMLNode, bool]:
    """The hidden overlay node for a purpose, and whether it is new; ``restoreViewState`` removes it."""
    known = findOwned(scene, purpose)
    if known is not None:
        return known, False
    node = addHiddenNode(scene, className, f"Registration {purpose}")
    own(node, purpose)
    return node, True


def findOwned(scene: slicer.vtkMRMLScene, purpose: str) -> slicer.vtkMRMLNode | None:
    """The hidden overlay node for a purpose; ``None`` without one."""
    memory = _memory(scene)
    if memory is None:
        return None
    nodes = (memory.GetNthNodeReference(_OWNED, index) for index in range(memory.GetNumberOfNodeReferences(_OWNED)))
    return next((node for node in nodes if node is not None and node.GetAttribute(_PURPOSE) == purpose), None)


def own(node: slicer.vtkMRMLNode, purpose: str) -> None:
    """Mark a node that an overlay created, so that ``restoreViewState`` removes it."""
    node.SetAttribute(_PURPOSE, purpose)
    _createdMemory(node.GetScene()).AddNodeReferenceID(_OWNED, node.GetID())


def removeWithDisplay(node: slicer.vtkMRMLNode) -> None:
    """Remove a node from its scene, with its display and storage nodes, and the colours of its deformation."""
    scene, parts = node.GetScene(), []
    if isinstance(node, slicer.vtkMRMLDisplayableNode):
        # Last first: a colour legend needs the display node that it belongs to.
        parts += [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())][::-1]
    if isinstance(node, slicer.vtkMRMLStorableNode):
        parts += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    colours = [_ownColours(part) for part in (*parts, node)]
    for part in (*parts, node, *colours):
        if part is not None:
            scene.RemoveNode(part)


def _ownColours(node: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLColorNode | None:
    """The colour node that Slicer made for the display of one transform when it first drew it; ``None`` if shared."""
    if not isinstance(node, slicer.vtkMRMLTransformDisplayNode):
        return None
    users = nodesByClass(node.GetScene(), "vtkMRMLDisplayNode")
    shared = sum(user.GetColorNodeID() == node.GetColorNodeID() for user in users) > 1
    colours = node.GetColorNode()
    isOwn = isinstance(colours, slicer.vtkMRMLProceduralColorNode) and not colours.GetAttribute(_PURPOSE)
    return colours if isOwn and not shared else None


def _roleOf(node: slicer.vtkMRMLNode, memory: slicer.vtkMRMLScriptedModuleNode) -> str:
    """The reference role of a stored node, or an empty string."""
    return next((role for role in _content(memory) if memory.GetNodeReferenceID(role) == node.GetID()), "")


def _propertiesOf(node: slicer.vtkMRMLNode) -> tuple[str, ...]:
    return next(names for kind, names in _PROPERTIES.items() if node.IsA(kind))


def _memory(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScriptedModuleNode | None:
    return scene.GetSingletonNode(_TAG, "vtkMRMLScriptedModuleNode")


def _createdMemory(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScriptedModuleNode:
    """The node that stores the states; it is created when first needed."""
    known = _memory(scene)
    if known is not None:
        return known
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag(_TAG)
    node.SetName(_TAG)
    node.SetHideFromEditors(True)
    return scene.AddNode(node)


def _content(memory: slicer.vtkMRMLScriptedModuleNode) -> dict[str, dict[str, object]]:
    return json.loads(memory.GetAttribute(_CONTENT) or "{}")
