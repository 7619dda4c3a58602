"""Registration on the CPU where the memory of the GPU is too small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class DeviceFallback:
    """Runs work on the chosen device, and once more on the CPU if the GPU has too little memory.

    Attributes:
        usedCpu: Whether the last work had to be repeated on the CPU.
    """

    def __init__(self) -> None:
        self.usedCpu = False

    def run(self, work: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        """Returns what ``work`` returns; ``device`` is one of its keyword arguments."""
        import torch

        self.usedCpu = False
        try:
            return work(*arguments, **settings)
        except RuntimeError as error:
            # Apple's GPU has no exception class of its own for this.
            if not isinstance(error, torch.cuda.OutOfMemoryError) and "out of memory" not in str(error):
                raise
            self.usedCpu = True
        return work(*arguments, **(settings | {"device": "cpu"}))  # Here the error and its tensors are released.
