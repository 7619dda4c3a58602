"""The Lightning module: one update, one validation, the optimiser."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.configuration import OptimisationConfiguration, RunConfiguration, plain
from training.data.batches import Batch, Batches
from training.data.labelled_pairs import find_pairs
from training.data.store import open_store, prepare
from training.evaluation.evaluate import evaluate
from training.fit.channel_pruning import prune_channels
from training.fit.example_figure import draw_examples
from training.fit.objective import loss_of
from training.provenance import provenance
from UnsupervisedRegistrationLib.core.images.crop import LEAST
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model
from UnsupervisedRegistrationLib.core.networks.architectures import Build, build_network
from UnsupervisedRegistrationLib.core.networks.pyramid import Pyramid
from UnsupervisedRegistrationLib.core.similarity.losses import endpoint_error
from UnsupervisedRegistrationLib.core.spatial.folding import folding

_VALIDATION_STEP = 10**9  # No run reaches this step, so that validation pairs differ from training pairs.


class Learner(lightning.LightningModule):
    """A network and how a run trains it.

    Args:
        run: All settings.
        folder: Receives a batch whose loss is not finite.
        build: Makes the network from its configuration.

    Raises:
        OSError: The model to start from cannot be read.
        ValueError: The network does not fit images of that size, or the network of the model to start from.
    """

    def __init__(self, run: RunConfiguration, folder: Path, build: Build = build_network) -> None:
        super().__init__()
        self.run = run
        self._folder = folder
        self.network = build(run.network)
        least = max(2 * self.network.multiple, LEAST)
        if any(side % self.network.multiple or side < least for side in run.synthesis.size):
            raise ValueError(
                f"synthesis.size is {run.synthesis.size}, but the network '{run.network.architecture}' needs"
                f" multiples of {self.network.multiple}, {least} at least."
            )
        if run.optimisation.start:
            self._start_from(load_model(Path(run.optimisation.start), build))
        self.batch_times = (0.0, 0.0)  # Start and end of making the batch of the step, s.
        self._batches: Batches | None = None
        self._validation: list[Batch] = []

    def prepare_data(self) -> None:
        """Prepare the slices once on each machine, while the other processes wait."""
        if self.run.data.folders:
            prepare(self.run.data, self.run.synthesis.size)

    def setup(self, stage: str) -> None:
        """Open the slices, and take this process's share of every batch from now on."""
        store = open_store(self.run.data, self.run.synthesis.size) if self.run.data.folders else None
        if store and self.trainer.is_global_zero:
            store.report()
        gpu = self.trainer.strategy.root_device.type != "cpu"
        self._batches = Batches(self.run, store, self.trainer.global_rank, self.trainer.world_size, gpu)

    def train_dataloader(self) -> DataLoader[int]:
        """Numbers of steps only: the pairs are made on the device."""
        return _numbers(self.run.optimisation.steps)

    def val_dataloader(self) -> DataLoader[int]:
        """As many batches as hold the validation pairs."""
        return _numbers(max(self.run.validation.count // self.run.optimisation.batch, 1))

    def training_step(self, number: Tensor, index: int) -> Tensor:
        """Compute the loss of one update.

        Raises:
            ValueError: The loss is not finite; the batch is saved for inspection.
        """
        assert self._batches is not None
        start = time.perf_counter()
        batch = self._batches.draw(self.global_step, self.device)
        self.batch_times = start, time.perf_counter()
        loss, parts = loss_of(self.network, batch, self.run.loss)
        if not bool(torch.isfinite(loss)):
            raise ValueError(self._save_bad(batch, loss))
        self.log("loss", loss.detach(), prog_bar=True)
        self.log_dict({f"train/{name}": value for name, value in parts.items()})
        return loss

    def validation_step(self, number: Tensor, index: int) -> None:
        """Log the loss of fixed pairs, folding, and the error in voxels if the truth is known."""
        assert self._batches is not None
        if index >= len(self._validation):
            self._validation.append(self._batches.draw(_VALIDATION_STEP + index, self.device))
        batch = self._validation[index]
        loss, parts = loss_of(self.network, batch, self.run.loss)
        velocity = self.network(batch.fixed, batch.moving)[-1]
        displacement = self.network.displacement(velocity, tuple(batch.fixed.shape[2:]))
        values = {f"val/{name}": value for name, value in parts.items()} | {"val/loss": loss}
        values["val/folding"] = torch.tensor(folding(displacement[:1]))
        if batch.truth is not None:
            values["val/tre_px"] = endpoint_error(displacement, batch.truth, batch.weight)
            values["val/tre_before_px"] = endpoint_error(torch.zeros_like(batch.truth), batch.truth, batch.weight)
        self.log_dict(values, sync_dist=True, batch_size=len(batch.fixed))
        shown = "val/tre_px" if batch.truth is not None else "val/loss"
        self.log("validation", values[shown], prog_bar=True, logger=False, sync_dist=True, batch_size=len(batch.fixed))
        if index == 0 and self.logger is not None and self.trainer.is_global_zero:
            figure = draw_examples(batch, displacement)
            self.logger.experiment.add_figure("examples", figure, self.global_step)  # type: ignore[attr-defined]

    def on_validation_epoch_end(self) -> None:
        """Score the labelled pairs, if there are any; the scores are logged and decide nothing."""
        wanted = self.run.validation
        if not wanted.pairs or self.trainer.sanity_checking or not self.trainer.is_global_zero:
            return
        pairs = find_pairs(Path(wanted.pairs), list(wanted.slices), self.run.data.pixel)
        score = evaluate(self.model("training"), itertools.islice(pairs, wanted.count), str(self.device))
        for name, value in score.after.items():
            word = name.lower().replace(" ", "_")
            self.log_dict({f"val/{word}": value, f"val/{word}_before": score.before[name]}, rank_zero_only=True)
        self.log("val/label_folding", score.folding, rank_zero_only=True)

    def configure_optimizers(self) -> Any:
        """Adam, with a rate that rises during the warm-up and then falls to a hundredth."""
        wanted = self.run.optimisation
        optimiser = torch.optim.Adam(self.network.parameters(), lr=wanted.rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_factor(step, wanted))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the settings too, so that a checkpoint can be exported and is not continued with others."""
        checkpoint["run"] = plain(self.run)
        checkpoint["provenance"] = provenance()

    def model(self, name: str, card: Card | None = None) -> Model:
        """Return the network as a model that can register."""
        run = self.run
        configuration = ModelConfiguration(run.network, run.data.preprocessing, training=plain(run))
        return Model(name, self.network, configuration, card or Card())

    def _start_from(self, model: Model) -> None:
        wanted = self.run.network
        found = model.configuration.network
        # Demons iterations have no weights, and levels and channels may be left out.
        free = ("demons_steps", "levels", "width") if isinstance(model.network, Pyramid) else ()
        same = dataclasses.replace(found, **{name: getattr(wanted, name) for name in free})
        if same != wanted or wanted.levels > found.levels or wanted.width > found.width:
            raise ValueError(
                f"optimisation.start '{model.name}' is a {found}, the run trains a"
                f" {wanted}; give the run the network of the model."
            )
        weights = model.network.state_dict()
        if isinstance(model.network, Pyramid) and wanted.width < found.width:
            weights = prune_channels(model.network, wanted.width)
        self.network.load_state_dict({name: weights[name] for name in self.network.state_dict()})

    def _save_bad(self, batch: Batch, loss: Tensor) -> str:
        path = self._folder / "bad-batch.pt"
        torch.save({name: value for name, value in vars(batch).items() if value is not None}, path)
        return (
            f"The loss became {loss.item()} at step {self.global_step}; the batch is in '{path}'."
            f" Inspect its images, or lower optimisation.rate ({self.run.optimisation.rate})."
        )


def rate_factor(step: int, optimisation: OptimisationConfiguration) -> float:
    """Return the learning rate of a step, relative to the highest one."""
    if step < optimisation.warmup:
        return (step + 1) / optimisation.warmup
    share = (step - optimisation.warmup) / max(optimisation.steps - optimisation.warmup, 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _numbers(count: int) -> DataLoader[int]:
    return DataLoader(range(count), batch_size=None)  # type: ignore[arg-type]
