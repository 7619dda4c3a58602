"""All settings of a training run, from a YAML file and overrides; they are saved in the model file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from training.parsing import coerce, read_yaml
from training.synthesis.synthesis import SynthesisConfiguration
from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.models.card import Domain
from UnsupervisedRegistrationLib.core.models.model_file import load_model, read_configuration
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration


@dataclass(frozen=True)
class DataConfiguration:
    """Which scans a run trains on, and how slices are made of them.

    These settings alone, and the state of the files, decide which stored slices a run uses. Without a folder a run
    trains on synthetic pairs only.

    Attributes:
        folders: With scans of any format that Slicer reads; all subfolders are searched.
        subject_share: Share of the subjects that is used, above 0 to 1; subjects are taken in the order of their names.
        masks: ``""`` for none, ``"auto"`` for the foreground of each image, or a folder with files named as the images.
        plane: Orientation of the slices.
        every: Every how many-th slice of a volume is taken.
        spacing: Pixel size of the prepared slices, mm.
        pixel: Pixel size of 2-D files, mm; 0 takes the size that the file states.
        preprocessing: Intensity preprocessing, the same as the model's.
        pairs: ``"across"`` joins different subjects at the same level, ``"within"`` images of one subject, such as two
            phases of a heart.
        cache: Folder of the prepared slices.
    """

    folders: tuple[str, ...] = ()
    subject_share: float = 1.0
    masks: str = ""
    plane: Literal["axial", "sagittal", "coronal"] = "axial"
    every: int = 4
    spacing: float = 1.0
    pixel: float = 0.0
    preprocessing: PreprocessingConfiguration = field(default_factory=PreprocessingConfiguration)
    pairs: Literal["across", "within"] = "across"
    cache: str = "out/cache"

    def __post_init__(self) -> None:
        if not 0 < self.subject_share <= 1 or self.every < 1 or not self.spacing > 0 or self.pixel < 0:
            raise ValueError(
                "subject_share is above 0 and at most 1, every at least 1, spacing above 0 mm, pixel 0 mm or more, not"
                f" {self}."
            )


@dataclass(frozen=True)
class AugmentationConfiguration:
    """How real pairs are varied from batch to batch; it never changes the stored slices.

    Mirroring, a random deformation and a random gamma are always applied, see ``training.data.augmentation``.

    Attributes:
        shared_deformation: Share of the pairs whose two images get the same deformation, 0 to 1. The motion that the
            scanner recorded is then all that is between them. In the other pairs each image gets its own.
        translation: Largest shift of the moving image along each axis, pixels; half of the pairs are shifted.
        background_noise: Amplitude of noise that replaces everything outside the mask, as share of the intensity range.
    """

    shared_deformation: float = 0.0
    translation: float = 0.0
    background_noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.shared_deformation <= 1 or self.translation < 0 or self.background_noise < 0:
            raise ValueError(
                f"shared_deformation is 0 to 1, translation 0 pixels or more, background_noise 0 or more, not {self}."
            )


@dataclass(frozen=True)
class LossConfiguration:
    """Terms of the loss and their weights.

    Attributes:
        similarity: Between the warped and the fixed image.
        similarity_weight: Its weight.
        photometric_weight: Weight of the squared intensity difference beside another similarity. Local correlation
            alone cannot tell apart flat regions that are larger than its window.
        smoothness: Of the displacement. ``"total_variation"`` is ``"edge_aware"`` without the influence of edges.
        smoothness_weight: Its weight.
        compression_weight: Weight of the penalty on cells that fold or nearly fold.
        endpoint_weight: Weight of the distance from the true displacement, voxels, in pairs whose truth is known.
    """

    similarity: Literal["photometric", "local_ncc", "mind"] = "photometric"
    similarity_weight: float = 100.0
    photometric_weight: float = 0.0
    smoothness: Literal["edge_aware", "total_variation", "diffusion"] = "edge_aware"
    smoothness_weight: float = 0.3
    compression_weight: float = 0.0
    endpoint_weight: float = 1.0

    def __post_init__(self) -> None:
        weights = {name: value for name, value in vars(self).items() if name.endswith("_weight")}
        if min(weights.values()) < 0:
            raise ValueError(f"Weights of the loss are 0 or more: {weights}.")


@dataclass(frozen=True)
class OptimisationConfiguration:
    """How the loss is minimised: by Adam, with a warm-up and a cosine schedule down to a hundredth of the rate.

    Attributes:
        steps: Updates of the weights.
        batch: Pairs per update over all devices; synthetic pairs are made fastest in multiples of four.
        rate: Learning rate after the warm-up.
        warmup: Updates until ``rate`` is reached.
        average: Decay of the moving average of the weights that is validated and exported.
        validate_every: Updates between validations, each followed by a checkpoint.
        start: Model file whose weights initialise the network, or ``""``. A pyramid may have fewer levels and channels
            than that of the file: it takes the finest levels and the channels with the largest weights.
    """

    steps: int = 8000
    batch: int = 8
    rate: float = 1e-3
    warmup: int = 200
    average: float = 0.998
    validate_every: int = 200
    start: str = ""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not self.rate > 0 or self.validate_every < 1:
            raise ValueError(f"steps, batch, rate and validate_every must be positive: {self}.")
        if not 0 <= self.average < 1:
            raise ValueError(f"average is from 0 to below 1: {self}.")


@dataclass(frozen=True)
class ValidationConfiguration:
    """What is measured during a run. Labels never choose weights or settings.

    Attributes:
        pairs: Folder of labelled pairs as ``evaluate`` reads it; without it only the validation loss is measured.
        slices: Of volumes in that folder.
        count: Number of pairs.
    """

    pairs: str = ""
    slices: tuple[int, ...] = (0,)
    count: int = 8


@dataclass(frozen=True)
class CardConfiguration:
    """Texts of the model card that no command can find out."""

    description: str = ""
    data: str = ""
    licence: str = ""
    research_only: bool = False
    domain: Domain = field(default_factory=Domain)


@dataclass(frozen=True)
class RunConfiguration:
    """A whole run.

    Attributes:
        network: What is trained; settings that are not named are those of the model of ``optimisation.start``.
        data: Real slices, if any.
        augmentation: How real pairs are varied.
        synthesis: How synthetic pairs are made, and the size and random deformation of real ones.
        loss: What is minimised.
        optimisation: How it is minimised.
        validation: What is measured during the run.
        card: Texts for the model file.
        seed: Of weights, pairs and augmentation.
    """

    network: NetworkConfiguration = field(default_factory=NetworkConfiguration)
    data: DataConfiguration = field(default_factory=DataConfiguration)
    augmentation: AugmentationConfiguration = field(default_factory=AugmentationConfiguration)
    synthesis: SynthesisConfiguration = field(default_factory=SynthesisConfiguration)
    loss: LossConfiguration = field(default_factory=LossConfiguration)
    optimisation: OptimisationConfiguration = field(default_factory=OptimisationConfiguration)
    validation: ValidationConfiguration = field(default_factory=ValidationConfiguration)
    card: CardConfiguration = field(default_factory=CardConfiguration)
    seed: int = 1


def read_run(path: Path, overrides: list[str]) -> RunConfiguration:
    """Read a run from a YAML file and ``--part.name value`` pairs.

    Args:
        path: YAML; parts that are not named keep their defaults.
        overrides: ``["--optimisation.steps", "100", "--data.folders=[a, b]"]``; values are YAML too.

    Raises:
        OSError: The file cannot be read.
        ValueError: A name is unknown, or a value is of the wrong kind or makes no sense.
    """
    values = read_yaml(path.read_text(encoding="utf-8"), str(path)) or {}
    if not isinstance(values, dict):
        raise ValueError(f"'{path}' holds no settings; it needs lines such as 'seed: 1'.")
    words = [part for word in overrides for part in (word.split("=", 1) if word.startswith("--") else [word])]
    if len(words) % 2 or any(not name.startswith("--") for name in words[::2]):
        raise ValueError(f"Overrides come as '--part.name value', not as '{' '.join(overrides)}'.")
    for name, text in zip(words[::2], words[1::2], strict=True):
        _set(values, name.removeprefix("--"), read_yaml(text, name))
    return run_from(values)


def run_from(values: dict[str, Any]) -> RunConfiguration:
    """Make a run of nested plain values, as in a YAML file or a checkpoint.

    Raises:
        OSError: The model to start from cannot be read.
        ValueError: A name is unknown, or a value is of the wrong kind or makes no sense.
    """
    return read_configuration(RunConfiguration, coerce(RunConfiguration, values | _network(values)))


def _network(values: dict[str, Any]) -> dict[str, Any]:
    """The part ``network``, completed by the network of ``optimisation.start``; empty if there is no such model."""
    optimisation, named = values.get("optimisation"), values.get("network", {})
    start = optimisation.get("start") if isinstance(optimisation, dict) else None
    if not isinstance(start, str) or not Path(start).is_file() or not isinstance(named, dict):
        return {}
    return {"network": dataclasses.asdict(load_model(Path(start)).configuration.network) | named}


def plain(run: RunConfiguration) -> dict[str, Any]:
    """Return the nested plain values that ``run_from`` reads."""
    return dataclasses.asdict(run)


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    *parts, last = name.split(".")
    for part in parts:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ValueError(f"There is no setting '{name}': '{part}' is a value, not a part.")
    values[last] = value
