"""The functions of ``scene.registration`` that the logic calls; each imports torch, so they are imported when used."""

from __future__ import annotations

from typing import Any


class SceneEngine:
    """Registers nodes of the scene; see ``logic.RegistrationEngine``."""

    def registerSlice(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """See ``scene.registration.slice.registerSlice``."""
        from ..scene.registration.slice import registerSlice

        return registerSlice(fixedVolume, movingVolume, **settings)

    def registerVolume(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """See ``scene.registration.volume.registerVolume``."""
        from ..scene.registration.volume import registerVolume

        return registerVolume(fixedVolume, movingVolume, **settings)

    def registerSequence(self, sequenceNode: Any, **settings: Any) -> Any:
        """See ``scene.registration.sequence.registerSequence``."""
        from ..scene.registration.sequence import registerSequence

        return registerSequence(sequenceNode, **settings)

    def chooseModel(self, fixedVolume: Any, movingVolume: Any) -> tuple[str, str]:
        """See ``scene.registration.model_choice.chooseModel``."""
        from ..scene.registration.model_choice import chooseModel

        return chooseModel(fixedVolume, movingVolume)

    def addForegroundMask(self, volumeNode: Any) -> Any:
        """See ``scene.registration.foreground_mask.addForeground``."""
        from ..scene.registration.foreground_mask import addForeground

        return addForeground(volumeNode)
