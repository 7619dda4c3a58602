"""What Lightning drives: one update, one validation, the optimiser."""

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
from training.fit.channel_pruning import narrowed
from training.fit.distillation import lessons
from training.fit.example_figure import draw_examples
from training.fit.objective import loss_of
from training.provenance import made_by
from UnsupervisedRegistrationLib.core.images.crop import LEAST
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.pyramid import Pyramid
from UnsupervisedRegistrationLib.core.similarity.losses import endpoint_error
from UnsupervisedRegistrationLib.core.spatial.folding import folding

_VALIDATION_STEP = 10**9  # Numbers of steps that no run reaches, so validation sees pairs that training does not.


class Learner(lightning.LightningModule):
    """A network that learns by a run's configuration.

    Args:
        run: All settings.
        folder: Where a batch goes that made the loss useless.

    Raises:
        OSError: The model to start from, or the teacher, cannot be read.
        ValueError: The network cannot halve images of that size, or is not that of the model to start from.
    """

    def __init__(self, run: RunConfiguration, folder: Path) -> None:
        super().__init__()
        self.run = run
        self._folder = folder
        self.network = build_network(run.network)
        least = max(2 * self.network.multiple, LEAST)
        if any(side % self.network.multiple or side < least for side in run.synthesis.size):
            raise ValueError(
                f"synthesis.size is {run.synthesis.size}, but the network '{run.network.architecture}' needs"
                f" multiples of {self.network.multiple}, {least} at least."
            )
        if run.optimisation.start:
            self._start_from(load_model(Path(run.optimisation.start)))
        # A model, so that the teacher is no part of what is trained and saved.
        self._teacher = load_model(Path(run.optimisation.teacher)) if run.optimisation.teacher else None
        self.drawn_at = (0.0, 0.0)  # When the drawing of the step's pairs began and ended, s.
        self._batches: Batches | None = None
        self._validation: list[Batch] = []

    def prepare_data(self) -> None:
        """Prepares the slices once in each machine, while the other processes wait."""
        if self.run.data.folders:
            prepare(self.run.data, self.run.synthesis.size)

    def setup(self, stage: str) -> None:
        """Draws from now on this process's share of every batch."""
        store = open_store(self.run.data, self.run.synthesis.size) if self.run.data.folders else None
        if store and self.trainer.is_global_zero:
            store.report()
        gpu = self.trainer.strategy.root_device.type != "cpu"
        self._batches = Batches(self.run, store, self.trainer.global_rank, self.trainer.world_size, gpu)

    def train_dataloader(self) -> DataLoader[int]:
        """Numbers only: the pairs are drawn on the device."""
        return _numbers(self.run.optimisation.steps)

    def val_dataloader(self) -> DataLoader[int]:
        """As many batches as make up the pairs to look at."""
        return _numbers(max(self.run.validation.count // self.run.optimisation.batch, 1))

    def training_step(self, number: Tensor, index: int) -> Tensor:
        """One update.

        Raises:
            ValueError: The loss is not finite; the batch is saved for a look.
        """
        assert self._batches is not None
        start = time.perf_counter()
        batch = self._batches.draw(self.global_step, self.device)
        self.drawn_at = start, time.perf_counter()
        loss, parts = self.loss(batch)
        if not bool(torch.isfinite(loss)):
            raise ValueError(self._save_bad(batch, loss))
        self.log("loss", loss.detach(), prog_bar=True)
        self.log_dict({f"train/{name}": value for name, value in parts.items()})
        return loss

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch and its parts, see ``loss_of``; with a teacher, pairs shown in part as it tells.

        A part that is measured of both comes from the pairs that are shown whole.
        """
        teacher = None if self._teacher is None else self._teacher.network.to(self.device)
        total, parts = torch.zeros((), device=self.device), dict[str, Tensor]()
        for lesson in reversed(lessons(batch, teacher)):
            loss, found = loss_of(self.network, lesson, self.run.loss)
            total, parts = total + loss * len(lesson.fixed) / len(batch.fixed), parts | found
        return total, parts

    def validation_step(self, number: Tensor, index: int) -> None:
        """Loss on pairs that are the same every time; error in voxels and folding where the truth is known."""
        assert self._batches is not None
        if index >= len(self._validation):
            self._validation.append(self._batches.draw(_VALIDATION_STEP + index, self.device))
        batch = self._validation[index]
        loss, parts = self.loss(batch)
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
        """Scores the labelled pairs, if there are any; they are looked at and decide nothing."""
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
        """Adam, and a rate that warms up and then falls to a hundredth."""
        wanted = self.run.optimisation
        optimiser = torch.optim.Adam(self.network.parameters(), lr=wanted.rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_factor(step, wanted))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The settings go along, so that a checkpoint can be exported and is not continued with others."""
        checkpoint["run"] = plain(self.run)
        checkpoint["made_by"] = made_by()

    def model(self, name: str, card: Card | None = None) -> Model:
        """The network as it is, ready for ``register``."""
        run = self.run
        configuration = ModelConfiguration(run.network, run.data.preprocessing, run.passes, plain(run))
        return Model(name, self.network, configuration, card or Card())

    def _start_from(self, model: Model) -> None:
        wanted = self.run.network
        found = model.configuration.network
        # The steps of demons have no weights, and of levels and channels some may be taken alone.
        free = ("demons_steps", "levels", "width") if isinstance(model.network, Pyramid) else ()
        same = dataclasses.replace(found, **{name: getattr(wanted, name) for name in free})
        if same != wanted or wanted.levels > found.levels or wanted.width > found.width:
            raise ValueError(
                f"optimisation.start '{model.name}' is a {found}, the run trains a"
                f" {wanted}; give the run the network of the model."
            )
        weights = model.network.state_dict()
        if isinstance(model.network, Pyramid) and wanted.width < found.width:
            weights = narrowed(model.network, wanted.width)
        self.network.load_state_dict({name: weights[name] for name in self.network.state_dict()})

    def _save_bad(self, batch: Batch, loss: Tensor) -> str:
        path = self._folder / "bad-batch.pt"
        torch.save({name: value for name, value in vars(batch).items() if value is not None}, path)
        return (
            f"The loss became {loss.item()} at step {self.global_step}; the batch is in '{path}'."
            f" Look at its images, or lower optimisation.rate ({self.run.optimisation.rate})."
        )


def rate_factor(step: int, optimisation: OptimisationConfiguration) -> float:
    """Learning rate of a step over the highest one."""
    if step < optimisation.warmup:
        return (step + 1) / optimisation.warmup
    share = (step - optimisation.warmup) / max(optimisation.steps - optimisation.warmup, 1)
    if optimisation.schedule == "exponential":
        return float(0.01**share)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _numbers(count: int) -> DataLoader[int]:
    return DataLoader(range(count), batch_size=None)  # type: ignore[arg-type]
