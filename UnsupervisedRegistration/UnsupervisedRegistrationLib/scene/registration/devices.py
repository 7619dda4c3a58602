"""The devices that a network can run on."""

from __future__ import annotations

import os


def deviceNames() -> dict[str, str]:
    """Device to display name with memory, for all devices of this machine; needs torch."""
    import torch

    names = {"auto": "Automatic", "cpu": f"CPU, {torch.get_num_threads()} threads{_memory()}"}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        names[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GB"
    if torch.backends.mps.is_available():
        names["mps"] = "Apple GPU, memory shared with the CPU"
    return names


def limitThreads(count: int) -> None:
    """Let torch and SimpleITK compute with so many threads in this process; needs torch."""
    import SimpleITK as sitk
    import torch

    torch.set_num_threads(count)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)


def _memory() -> str:
    """The memory of the machine, or an empty string if the system does not tell it."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # For example on Windows.
        return ""
    return f", {size / 2**30:.0f} GB"
