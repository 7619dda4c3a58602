"""Every rule and threshold of the method: what is done to a pair of images, and why.

A rule stays only if switching it off loses accuracy on at least two independent sets of pairs by more than two
standard errors; ``python -m training ablate`` measures that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ..images.crop import PreparedPair
from ..models.model_file import Model
from ..similarity.intensity_mapping import contrast_differs, unexplained_variance
from .options import Preset, RegistrationOptions, Similarity, TransformType

# Automatic choice of the model
DEFAULT_MIN_RATIO = 2.0  # Gain of the default model over that of the best special one, above which it is taken. On 128
# pairs of hearts a ratio of 1 loses .015 Dice against always taking the organ's model, a ratio of 2 loses .002.

TRIAL_BINS = 32  # Of each image in the joint histogram that measures the similarity of a trial.

# Pre-alignment
COARSE_SIZE = 40  # Pixels along the longer side of the fixed image at the coarse resolution.
FINE_SIZE = 72  # The same at the fine resolution; a known motion is found within a third of a pixel of 140.
CANDIDATE_ANGLES = (-30, -20, -10, 0, 10, 20, 30)  # Degrees at which the optimiser starts; it bridges the steps.
ALIGNMENT_BINS = 24  # About 100 of the sampled pixels fall into a bin at the fine resolution.
SAMPLED_SHARE = 0.5  # Random positions avoid the bias of mutual information for images on a common grid.
SAMPLING_SEED = 7  # Of the random positions.
FIRST_STEP = 0.06  # Of the optimiser, in radii of the slice: 6 pixels of 200.
LAST_STEP = 0.0005  # Of the optimiser, in radii of the slice: 0.05 pixels of 200.
ALIGNMENT_ITERATIONS = 40  # At most, at each resolution.
MIN_PIXELS = 4  # Along the shorter side; the recursive Gaussian filter of SimpleITK needs as many.
PLAUSIBLE_SCALES = (0.6, 1.7)  # Accepted singular values; a larger change of size means that the alignment failed.
MIN_OVERLAP = 0.4  # Share of the smaller image; mutual information over a small overlap says little.
NEAR_SHARE = 0.5  # Of the mutual information after rigid alignment; the network aligns images that have as much before.
MIN_INFORMATION_GAIN = 0.005  # Nats over the identity, so that random sampling alone moves nothing.

# Matched intensities
DIFFERENT_RATIO = 1.4  # Contrasts differ if a line leaves this many times the squared residual of a curve.
MAX_UNEXPLAINED = 0.75  # Share of the variance of the tissue above which matching intensities does not help.

# Prediction
PAIRS_AT_ONCE = 8  # On a CPU; more do not raise the rate, only the memory.
PAIRS_AT_ONCE_GPU = 64  # On a GPU.
LARGE_VOXELS = 320  # Longest side; networks are trained on 160 to 256 and reach only as far as they were trained to.
UNRELATED = 0.35  # Unexplained variance above which a network's single pass guesses, as between two stains.
DISAGREEMENT_WEIGHT = 2.5  # Of the variance in the flip ensemble; above 1 for errors that all passes share.
DISAGREEMENT_SIGMA = 6.0  # Velocity voxels; Gaussian over which the passes of the flip ensemble are compared.
MASK_FADE_MM = 20.0  # Distance over which the deformation fades to zero outside the mask.

# Few steps after the network
FEW_STEPS = (3, 2)  # With images at half and at full working resolution. More of them gain .003 Dice on brains and .001
# on hearts and take twice the time.
LONGEST_FEW_STEP = 1.5  # Voxels of half the resolution that a step goes at most.
FEW_STEPS_DIFFUSION = 0.02  # Of the velocity in every step.
FEW_INTEGRATION_STEPS = 2  # Interpolations that integrate half of the velocity.

# Instance optimisation
FIRST_STEP_VOXELS = 1.0  # Level voxels that the first step goes where it goes furthest.
STEP_SIGMA = 1.0  # Level voxels; Gaussian that smooths every step.
DIFFUSION = 0.04  # Of the displacement in every step, at a smoothness weight of 1.
WEAK_FORCE = 1.0  # Force below which steps are shorter; usual forces are about 10.
ITERATIONS = {"standard": (25, 45), "thorough": (50, 120)}  # Steps at half and at full working resolution, at most.
MIN_GAIN = 0.8  # Share of the unexplained variance below which a coarser start has to bring it to be kept.
MAX_WORSENING = 2.0  # Times the unexplained variance; a coarser start that leaves more is given up at once.
COARSEST_VOXELS = 16  # Shortest side of the coarsest level.
CONVERGED = 0.1  # Share of the longest step at which a level ends.
EQUAL = 0.5 / 255  # Intensity difference below which two images count as equal.
LANDMARK_WEIGHT = 0.3  # Share of its remaining distance by which each step moves a steering landmark.

# Landmarks that steer
LANDMARK_REACH = 1 / 16  # Of the longest side; standard deviation of the Gaussian by which a landmark pulls.
LONGEST_PULL = 1.0  # Voxels that a step goes at most.
LANDMARK_STEPS = 40  # At most, for the landmarks alone.
REACHED_MM = 0.2  # Distance at which they are reached.

# Uncertainty
HALF_TRUST_MM = 2.0  # An expected error at which the trust is 1/2.
FEATURE_WINDOW = 9  # Voxels over which the features are averaged.
FLOOR_MM = 0.05  # Keeps the logarithms finite.
ERROR_WEIGHTS = (-0.092, 0.237, 0.429, 1.014, -0.262)  # Constant and factors of the features, fitted by
# `python -m training calibrate` with the model any-contrast.

# Evaluation
MEASURED_PAIRS = 9  # Of a large batch, evenly spread, that tell the similarity of all.

RULES = {
    "half_resolution_first": "Images larger than 320 voxels are registered at half resolution first.",
    "match_intensities": "If the contrasts differ, one image is mapped to the contrast of the other.",
    "second_pass": "The network sees the images a second time, warped half-way towards each other.",
    "flip_ensemble": "Large images that explain little of each other: the passes of all mirror images are averaged.",
    "few_steps": "Without instance optimisation, a few symmetric steps make the images more similar.",
    "coarser_levels": "The optimisation starts at coarser levels if that explains more of the image.",
    "never_worse": "A result less similar than the images as they lay is replaced by no deformation.",
}
"""Name of each rule that ``make_plan`` can leave out, and what it does."""


@dataclass(frozen=True)
class OptimisationPlan:
    """How the instance optimisation runs.

    Attributes:
        similarity: What is maximised; ``"auto"`` decides once the images are roughly aligned.
        smoothness_weight: The larger, the stiffer.
        iterations: Steps at each level, at most; each level is twice as fine as the one before, the last has the
            working resolution.
        coarser_levels: Whether coarser levels are tried.
        time_limit: Seconds; an emergency stop.
    """

    similarity: Similarity
    smoothness_weight: float
    iterations: tuple[int, ...]
    coarser_levels: bool
    time_limit: float


@dataclass(frozen=True)
class Plan:
    """What is done to a batch of pairs.

    Attributes:
        preset: As chosen.
        transform: As chosen.
        half_resolution_first: See ``RULES``.
        match_intensities: See ``RULES``; one value a pair.
        second_pass: See ``RULES``.
        flip_ensemble: See ``RULES``.
        few_steps: See ``RULES``.
        optimisation: ``None`` for none.
        never_worse: See ``RULES``; not where landmarks steer.
        uncertainty: Whether the error of every voxel is estimated.
        reasons: A sentence for each rule that applies.
    """

    preset: Preset
    transform: TransformType
    half_resolution_first: bool = False
    match_intensities: tuple[bool, ...] = (False,)
    second_pass: bool = False
    flip_ensemble: bool = False
    few_steps: bool = False
    optimisation: OptimisationPlan | None = None
    never_worse: bool = True
    uncertainty: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The plan in one line."""
        return " ".join(self.reasons)


def make_plan(
    pair: PreparedPair,
    model: Model,
    options: RegistrationOptions,
    steered: bool = False,
    without: frozenset[str] = frozenset(),
) -> Plan:
    """What is done to prepared pairs with a model; runs no network.

    Args:
        pair: Prepared for the model.
        model: What registers them.
        options: What the user chose.
        steered: Whether landmarks steer the optimisation, which they ask for whatever the preset.
        without: Names of rules to leave out, for measuring what each gains.

    Raises:
        ValueError: There is no rule of such a name.
    """
    unknown = sorted(without - RULES.keys())
    if unknown:
        raise ValueError(f"There is no rule {', '.join(unknown)}; known are {', '.join(RULES)}.")
    if options.transform != "deformable":
        return Plan(options.preset, options.transform, reasons=(f"Only a {options.transform} alignment is wanted.",))
    optimised = options.preset != "fast" or steered
    large = max(pair.fixed.shape[2:]) > LARGE_VOXELS and "half_resolution_first" not in without
    flows = bool(model.configuration.network.integration_steps)  # A network without inverse takes one pass, as it is.
    differs = _differs(pair) if flows and "match_intensities" not in without else (False,) * len(pair.fixed)
    plan = Plan(
        preset=options.preset,
        transform=options.transform,
        half_resolution_first=large and flows,
        match_intensities=differs,
        second_pass=(optimised or large) and flows and "second_pass" not in without,
        flip_ensemble=large and flows and "flip_ensemble" not in without and _unrelated(pair, model),
        few_steps=not optimised and flows and "few_steps" not in without,
        optimisation=_optimisation(options, without) if optimised else None,
        never_worse=not steered and "never_worse" not in without,
        uncertainty=options.uncertainty,
    )
    return Plan(**{**vars(plan), "reasons": _reasons(plan)})


def _differs(pair: PreparedPair) -> tuple[bool, ...]:
    images = zip(pair.fixed.split(1), pair.moving.split(1), strict=True)
    return tuple(contrast_differs(fixed, moving, DIFFERENT_RATIO) for fixed, moving in images)


def _unrelated(pair: PreparedPair, model: Model) -> bool:
    fixed, moving = (half_resolution(image, model.network.multiple) for image in (pair.fixed, pair.moving))
    return unexplained_variance(fixed, moving) > UNRELATED


def half_resolution(image: Tensor, multiple: int) -> Tensor:
    """``(B, 1, *spatial)`` at half the resolution, in a size that the network takes."""
    half = tuple(-(-size // (2 * multiple)) * multiple for size in image.shape[2:])
    return F.interpolate(image, half, mode="area")


def _optimisation(options: RegistrationOptions, without: frozenset[str]) -> OptimisationPlan:
    return OptimisationPlan(
        similarity=options.similarity,
        smoothness_weight=options.smoothness_weight,
        iterations=ITERATIONS["thorough" if options.preset == "thorough" else "standard"],
        coarser_levels="coarser_levels" not in without,
        time_limit=options.time_limit,
    )


def _reasons(plan: Plan) -> tuple[str, ...]:
    applied = {
        "half_resolution_first": plan.half_resolution_first,
        "match_intensities": any(plan.match_intensities),
        "flip_ensemble": plan.flip_ensemble,
    }
    sentences = [RULES[name] for name, applies in applied.items() if applies]
    if plan.few_steps:
        sentences.append(f"The network registers the images; {sum(FEW_STEPS)} symmetric steps follow.")
    elif plan.optimisation is None:
        sentences.append("The network alone registers the images.")
    else:
        coarse, fine = plan.optimisation.iterations
        sentences.append(
            f"The network registers the images in {1 + plan.second_pass} passes; the instance optimisation follows with"
            f" at most {coarse} steps at half and {fine} at full working resolution."
        )
    return tuple(sentences)
