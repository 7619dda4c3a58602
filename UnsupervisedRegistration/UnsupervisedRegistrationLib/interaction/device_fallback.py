"""Registration on the CPU where the memory of the GPU is too small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from ..scene.registration_options import RegistrationOptions

_T = TypeVar("_T")


class DeviceFallback:
    """Runs work on the chosen device, and once more on the CPU if the GPU has too little memory.

    Attributes:
        usedCpu: Whether the last work had to be repeated on the CPU.
    """

    def __init__(self) -> None:
        self.usedCpu = False

    def run(self, work: Callable[[RegistrationOptions], _T], options: RegistrationOptions) -> _T:
        """Returns what ``work`` returns, given the options."""
        import torch

        self.usedCpu = False
        try:
            return work(options)
        except RuntimeError as error:
            # Apple's GPU has no exception class of its own for this.
            if not isinstance(error, torch.cuda.OutOfMemoryError) and "out of memory" not in str(error):
                raise
            self.usedCpu = True
        return work(replace(options, device="cpu"))  # Here the error and its tensors are released.
