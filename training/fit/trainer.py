"""Runs a training with Lightning: devices, checkpoints, logs, progress."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from training.configuration import RunConfiguration, plain, run_from
from training.export import read_checkpoint
from training.fit.learner import Learner
from training.fit.throughput import Throughput
from UnsupervisedRegistrationLib.core.models.model_file import save_whole
from UnsupervisedRegistrationLib.core.networks.architectures import Build, build_network

LAST = "last.ckpt"
_STEPS_SETTING = "optimisation.steps"  # The one setting that may change, so that a run can be prolonged.
_LARGEST_GRADIENT = 1.0  # Norm to which gradients are clipped.


def fit(
    run: RunConfiguration,
    folder: Path,
    *,
    devices: int | str = "auto",
    nodes: int = 1,
    throughput: Throughput | None = None,
    build: Build = build_network,
) -> Path:
    """Train, or continue from the last checkpoint of the folder.

    Args:
        run: All settings.
        folder: Receives ``last.ckpt``, ``best.ckpt`` and the TensorBoard files.
        devices: Number on each machine; ``"auto"`` takes all.
        nodes: Number of machines.
        throughput: Receives the times of the steps, if the caller needs them.
        build: Makes the network from its configuration.

    Returns:
        The last checkpoint.

    Raises:
        OSError: The folder or a scan cannot be read or written.
        ValueError: The settings do not fit the data, the devices or the existing checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    last = folder / LAST
    if last.exists():
        check_same_run(last, run, build)
    lightning.seed_everything(run.seed, verbose=False)
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists")  # The run continues there.
    warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning's use of PyTorch.
    trainer = lightning.Trainer(
        devices=devices,
        num_nodes=nodes,
        max_steps=run.optimisation.steps,
        precision="16-mixed" if torch.cuda.is_available() else "32-true",
        gradient_clip_val=_LARGEST_GRADIENT,
        val_check_interval=min(run.optimisation.validate_every, run.optimisation.steps),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # Every process makes its own share of the batch.
        log_every_n_steps=10,
        logger=TensorBoardLogger(folder, name="log", version=""),
        callbacks=_callbacks(run, folder, throughput or Throughput()),
        plugins=[AtomicCheckpointIO()],
        enable_model_summary=False,
    )
    trainer.fit(Learner(run, folder, build), ckpt_path=str(last) if last.exists() else None, weights_only=False)
    return last


def check_same_run(checkpoint: Path, run: RunConfiguration, build: Build = build_network) -> None:
    """Refuse to continue a checkpoint with other settings; only the number of steps may change.

    Raises:
        OSError: The checkpoint cannot be read.
        ValueError: The checkpoint is damaged, or settings differ; the message names them.
    """
    saved, wanted = plain(run_from(read_checkpoint(checkpoint, build)["run"])), plain(run)
    different = [name for name in _flat(wanted) if _flat(saved)[name] != _flat(wanted)[name] and name != _STEPS_SETTING]
    if different:
        raise ValueError(
            f"'{checkpoint}' was made with another configuration ({', '.join(different)} differ);"
            " give another --output, or the settings of that run."
        )


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Settings by the names that overrides use, ``part.name``; a part of a part stays whole."""
    parts = {part: value if isinstance(value, dict) else {"": value} for part, value in values.items()}
    return {f"{part}.{name}".rstrip("."): value for part, inner in parts.items() for name, value in inner.items()}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints so that a kill or a full disk leaves the previous one readable."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Save completely or not at all."""
        save_whole(checkpoint, Path(path))


class Bar(TQDMProgressBar):
    """The progress bar of Lightning, with a line above it for every validation."""

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Print all validation values, so that a run can be followed without TensorBoard."""
        super().on_validation_end(trainer, module)
        values = {name[4:]: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        text = ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()))
        self.print(f"step {trainer.global_step}: {text}")

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        """Close the bar, so that the error message starts on a line of its own."""
        self.train_progress_bar.close()


class LastStep(Callback):
    """Saves the state after the last step, which is rarely a multiple of ``validate_every``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Save before Lightning puts the averaged weights into the network, so that the run can be prolonged."""
        if trainer.global_step == module.run.optimisation.steps:
            trainer.save_checkpoint(self._path)


def _callbacks(run: RunConfiguration, folder: Path, throughput: Throughput) -> list[Callback]:
    every = run.optimisation.validate_every
    return [
        EMAWeightAveraging(decay=run.optimisation.average),
        ModelCheckpoint(folder, filename="best", monitor="val/loss", save_last=False, enable_version_counter=False),
        ModelCheckpoint(folder, filename="last", every_n_train_steps=every, enable_version_counter=False),
        Bar(refresh_rate=10),
        throughput,
        LastStep(folder / LAST),
    ]
