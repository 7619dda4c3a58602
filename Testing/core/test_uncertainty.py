"""Facts about the expected error of a displacement and the trust that follows from it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.registration.uncertainty import trust_from_error
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid


def test_the_trust_falls_with_the_expected_error() -> None:
    assert trust_from_error(torch.tensor([0.0, 2.0, 6.0])).tolist() == [1.0, 0.5, 0.25]


def test_the_expected_error_is_larger_where_the_images_differ() -> None:
    torch.manual_seed(1)
    configuration = ModelConfiguration(NetworkConfiguration(width=8))
    model = Model("untrained", build_network(configuration.network).eval(), configuration, Card())
    fixed = F.interpolate(torch.rand(1, 1, 9, 9), (64, 64), mode="bicubic").clamp(0, 1)
    moving = fixed.clone()
    moving[..., :32] = torch.rand(1, 1, 64, 32)
    images = ImagePair(fixed, moving, ImageGrid((64, 64), torch.eye(4)))
    fast = RegistrationOptions(preset="fast", device="cpu")
    error = run(images, [model], RegistrationOptions(preset="fast", device="cpu", uncertainty=True)).expected_error
    assert run(images, [model], fast).expected_error is None
    assert error is not None
    assert error.shape == (1, 1, 64, 64)
    assert float(error[..., :24].mean()) > float(error[..., 40:].mean()) > 0
