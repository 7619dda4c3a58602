"""PyTorch, installed on demand by the PyTorch extension."""

from __future__ import annotations

import importlib.util
import logging

from slicer.i18n import tr as _


class PyTorchExtension:
    """Makes sure that PyTorch can be imported; see ``interaction.logic.PyTorchProvider``."""

    def require(self) -> None:
        """Imports torch, after asking the PyTorch extension to install it if it is missing.

        Raises:
            RuntimeError: It cannot be imported; the sentence says what to do.
        """
        try:
            import torch  # noqa: F401

            return
        except (ImportError, OSError):  # OSError: a half-installed torch cannot load its libraries.
            logging.info("PyTorch is not installed yet; asking the PyTorch extension.")
        try:
            import PyTorchUtils
        except ModuleNotFoundError as error:
            raise RuntimeError(
                _(
                    "This module needs the PyTorch extension. Install 'PyTorch' in the Extensions Manager,"
                    " restart Slicer, and press Apply again."
                )
            ) from error
        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=">=2.5") is None:
            raise RuntimeError(_("PyTorch was not installed; press Apply again to install it."))


def isTorchInstalled() -> bool:
    """Whether torch can be imported, without importing it."""
    return importlib.util.find_spec("torch") is not None
