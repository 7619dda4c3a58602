"""The functions of ``scene.registration`` that the logic calls; each imports torch, so they are imported when used."""

from __future__ import annotations

from typing import Any

from ..scene.registration_options import RegistrationOptions


class SceneEngine:
    """Registers nodes of the scene; see ``logic.RegistrationEngine``."""

    def registerSlice(self, inputs: Any, options: RegistrationOptions, outputs: Any, progress: Any) -> Any:
        """See ``scene.registration.slice.registerSlice``."""
        from ..scene.registration.slice import registerSlice

        return registerSlice(inputs, options, outputs, progress)

    def registerVolume(
        self, inputs: Any, slices: Any, options: RegistrationOptions, outputs: Any, progress: Any
    ) -> Any:
        """See ``scene.registration.volume.registerVolume``."""
        from ..scene.registration.volume import registerVolume

        return registerVolume(inputs, slices, options, outputs, progress)

    def registerSequence(self, sequenceNode: Any, plane: Any, options: RegistrationOptions, progress: Any) -> Any:
        """See ``scene.registration.sequence.registerSequence``."""
        from ..scene.registration.sequence import registerSequence

        return registerSequence(sequenceNode, plane, options, progress=progress)

    def addForegroundMask(self, volumeNode: Any) -> Any:
        """See ``scene.registration.foreground_mask.addForeground``."""
        from ..scene.registration.foreground_mask import addForeground

        return addForeground(volumeNode)
