"""Facts about both networks, in 2-D and 3-D."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from UnsupervisedRegistrationLib.core.networks import pyramid
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration
from UnsupervisedRegistrationLib.core.networks.pyramid import (
    InstanceNorm,
    correlate,
    exchange_correlation,
    space_to_depth,
)
from UnsupervisedRegistrationLib.core.spatial.deformation import exponentiate, symmetric_flows, warp

architectures = pytest.mark.parametrize("architecture", ["fcn", "pyramid"])
dimensions = pytest.mark.parametrize("dimension", [2, 3])


def small(architecture: str, dimension: int, width: int = 4) -> Network:
    torch.manual_seed(11)
    return build_network(NetworkConfiguration(architecture, dimension, width))


def loud(dimension: int, demons_steps: int = 0, normalised: bool = False) -> Network:
    """A pyramid with fresh weights, of which the last layers are scaled up so that it moves by about a voxel."""
    torch.manual_seed(11)
    configuration = NetworkConfiguration("pyramid", dimension, 4, demons_steps=demons_steps, normalised=normalised)
    network = build_network(configuration)
    for name, weight in network.named_parameters():
        if name.startswith("decoder") and ".4." in name:
            weight.data *= 500
    return network


def images(*shape: int, batch: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    fixed, moving = torch.rand(2, batch, 1, *shape, generator=torch.Generator().manual_seed(seed))
    return fixed, moving


def size_of(network: Network) -> tuple[int, ...]:
    """An image of two steps of the coarsest level or more, oblong where that is cheap."""
    return (64, 128) if network.configuration.dimension == 2 else (64, 64, 64)


@architectures
@dimensions
def test_the_outcomes_double_from_coarse_to_fine(architecture: str, dimension: int) -> None:
    network = small(architecture, dimension)
    size = size_of(network)
    with torch.no_grad():
        outcomes = network(*images(*size))
    finest = 1 if architecture == "fcn" else 4
    steps = [finest * 2**level for level in reversed(range(len(outcomes)))]
    assert [tuple(o.shape) for o in outcomes] == [(1, dimension, *(n // step for n in size)) for step in steps]


def test_the_fcn_predicts_at_seven_scales() -> None:
    assert len(small("fcn", 2)(*images(64, 64))) == 7


def test_the_pyramid_predicts_at_four_scales() -> None:
    assert len(small("pyramid", 2)(*images(64, 64))) == 4


@dimensions
def test_the_pyramid_takes_sides_that_only_its_finest_level_divides(dimension: int) -> None:
    network = small("pyramid", dimension)
    first, second = images(*((68, 108) if dimension == 2 else (68, 72, 76)))
    with torch.no_grad():
        there, back = network(first, second)[-1], network(second, first)[-1]
    assert there.shape[2:] == tuple(side // 4 for side in first.shape[2:])
    assert float(there.abs().max()) > 0
    torch.testing.assert_close(there, -back)


@architectures
def test_the_width_is_a_setting(architecture: str) -> None:
    narrow, wide = (sum(w.numel() for w in small(architecture, 2, width).parameters()) for width in (4, 8))
    assert narrow < wide


@architectures
def test_the_fresh_network_starts_almost_at_the_identity(architecture: str) -> None:
    network = small(architecture, 2)
    with torch.no_grad():
        displacement = network.displacement(network(*images(64, 64))[-1], (64, 64))
    assert float(displacement.abs().max()) < 0.5  # Voxels.


@architectures
def test_one_pair_of_a_batch_does_not_see_the_others(architecture: str) -> None:
    network = small(architecture, 2)
    fixed, moving = images(64, 64, batch=3)
    with torch.no_grad():
        together, alone = network(fixed, moving)[-1][1:2], network(fixed[1:2], moving[1:2])[-1]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)  # Voxels; the order of sums differs.


@architectures
@dimensions
def test_the_gradient_reaches_every_weight(architecture: str, dimension: int) -> None:
    network = small(architecture, dimension)
    sum(outcome.square().sum() for outcome in network(*images(*size_of(network)))).backward()
    without = [n for n, w in network.named_parameters() if w.grad is None or not bool(torch.isfinite(w.grad).all())]
    assert without == []


@architectures
def test_the_same_pair_gives_the_same_outcome(architecture: str) -> None:
    network, pair = small(architecture, 2), images(64, 64)
    assert torch.equal(network(*pair)[-1], network(*pair)[-1])


@pytest.mark.parametrize("demons_steps", [0, 2])
@dimensions
def test_swapping_the_images_negates_the_velocity(dimension: int, demons_steps: int) -> None:
    network = loud(dimension, demons_steps)
    fixed, moving = images(*size_of(network))
    with torch.no_grad():
        there, back = network(fixed, moving)[-1], network(moving, fixed)[-1]
    assert float(there.abs().max()) > 0.1
    torch.testing.assert_close(there, -back, rtol=0, atol=1e-5)  # Voxels, rounding only.


@pytest.mark.parametrize("demons_steps", [0, 2])
@dimensions
def test_an_image_stays_where_it_is_on_itself(dimension: int, demons_steps: int) -> None:
    network = loud(dimension, demons_steps=demons_steps)
    image, _ = images(*size_of(network))
    with torch.no_grad():
        assert all(float(velocity.abs().max()) == 0 for velocity in network(image, image))


def test_demons_change_the_finest_level_alone() -> None:
    with torch.no_grad():
        without, closed = (loud(2, steps)(*images(64, 96)) for steps in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(without[:-1], closed[:-1], strict=True))
    assert not torch.allclose(without[-1], closed[-1], atol=1e-2)


def blobs() -> tuple[Tensor, Tensor]:
    """A bright disc and the same three voxels further on."""
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")

    def disc(place: float) -> Tensor:
        return torch.sigmoid(14 - (rows - 48).hypot(columns - place))[None, None]

    return disc(46.5), disc(49.5)


def test_demons_bring_the_images_closer_whatever_the_weights_say() -> None:
    fixed, moving = blobs()
    differences = []
    for demons_steps in (0, 1, 3):
        torch.manual_seed(11)
        network = build_network(NetworkConfiguration("pyramid", 2, 4, demons_steps=demons_steps))
        with torch.no_grad():
            displacement = network.displacement(network(fixed, moving)[-1], (96, 96))
        differences.append(float((warp(moving, displacement) - fixed).square().mean()))
    assert differences[1] < 0.7 * differences[0]
    assert differences[2] < 0.5 * differences[1]


@pytest.mark.parametrize("share", [1.0, 1e-3])
def test_a_step_of_demons_is_short_and_that_of_almost_equal_images_shorter(share: float) -> None:
    fixed, moving = blobs()
    pair = fixed, fixed + share * (moving - fixed)
    with torch.no_grad():
        without, ended = (loud(2, demons_steps=steps)(*pair)[-1] for steps in (0, 1))
    longest = float((ended - without).square().sum(dim=1).max().sqrt())
    assert longest == pytest.approx(pyramid._MAX_DEMONS_STEP / 2, rel=1e-5) if share == 1 else longest < 0.1
    assert longest > 0


@dimensions
def test_a_pyramid_that_sees_normalised_images_looks_at_them_and_stays_antisymmetric(dimension: int) -> None:
    network = loud(dimension, normalised=True)
    torch.manual_seed(3)
    pair = torch.rand(2, 1, 1, *[64] * dimension)
    with torch.no_grad():
        there, back = network(*pair)[-1], network(*pair.flip(0))[-1]
        torch.testing.assert_close(there, -back, rtol=1e-3, atol=1e-4)
        assert float(there.abs().max()) > 0.01
        first = network.get_parameter("encoder.0.0.weight")
        first[:, 4**dimension :] = 0  # What belongs to the normalised images.
        assert float((network(*pair)[-1] - there).abs().max()) > 1e-3


@pytest.mark.parametrize("values", [{"demons_steps": 1}, {"normalised": True}])
def test_only_the_pyramid_closes_with_demons_and_sees_normalised_images(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="only the pyramid has demons steps"):
        NetworkConfiguration("fcn", **values)  # type: ignore[arg-type]


def test_the_displacement_of_a_velocity_is_its_flow_in_voxels_of_the_image() -> None:
    velocity = torch.full((1, 2, 16, 16), 0.5)
    displacement = small("pyramid", 2).displacement(velocity, (64, 64))
    torch.testing.assert_close(displacement, torch.full((1, 2, 64, 64), 2.0))


def test_the_displacement_integrates_with_the_steps_of_the_configuration() -> None:
    velocity = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    network = build_network(NetworkConfiguration(width=4, integration_steps=3))
    torch.testing.assert_close(network.displacement(velocity, (32, 32)), symmetric_flows(velocity, 3)[:1])
    torch.testing.assert_close(network.displacement(velocity, (16, 16)), exponentiate(velocity, 3))


def test_the_default_network_has_less_than_two_and_a_half_million_weights() -> None:
    assert sum(weight.numel() for weight in build_network(NetworkConfiguration()).parameters()) < 2_500_000


def test_the_default_network_takes_less_than_a_billion_multiplications_for_256_x_256() -> None:
    network, pair = build_network(NetworkConfiguration()), images(256, 256)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*pair)
    assert 0 < counter.get_total_flops() / 2 < 1e9  # An addition is counted with every multiplication.


@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("shape", [(5, 7), (6, 2), (3, 4, 5)], ids=["2-D", "narrow", "3-D"])
def test_correlate_equals_a_loop_over_all_shifts(shape: tuple[int, ...], radius: int) -> None:
    first, second = torch.randn(2, 2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    padded = torch.nn.functional.pad(second, [radius] * 2 * len(shape))
    expected = []
    for offset in itertools.product(range(2 * radius + 1), repeat=len(shape)):
        window = (slice(None), slice(None), *(slice(o, o + n) for o, n in zip(offset, shape, strict=True)))
        expected.append((first * padded[window]).sum(dim=1))
    torch.testing.assert_close(correlate(first, second, radius), torch.stack(expected, dim=-1))


@pytest.mark.parametrize("radius", [1, 3])
@pytest.mark.parametrize("shape", [(5, 7), (6, 2), (3, 4, 5)], ids=["2-D", "narrow", "3-D"])
def test_turned_products_are_those_of_the_images_in_the_other_order(shape: tuple[int, ...], radius: int) -> None:
    first, second = torch.randn(2, 2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    first.requires_grad_()
    ours, expected = exchange_correlation(correlate(first, second, radius), radius), correlate(second, first, radius)
    torch.testing.assert_close(ours, expected)
    weights = torch.randn_like(ours)
    slopes = [torch.autograd.grad((values * weights).sum(), first)[0] for values in (ours, expected)]
    torch.testing.assert_close(*slopes)


def test_space_to_depth_equals_pixel_unshuffle() -> None:
    image = torch.rand(2, 3, 8, 12)
    assert torch.equal(space_to_depth(image, 4), torch.nn.functional.pixel_unshuffle(image, 4))


def test_space_to_depth_gathers_each_cube_of_a_volume() -> None:
    image = torch.arange(4 * 4 * 8).view(1, 1, 4, 4, 8)
    blocks = space_to_depth(image, 4)
    assert blocks.shape == (1, 64, 1, 1, 2)
    assert torch.equal(blocks[0, :, 0, 0, 1], image[..., 4:].flatten())


@pytest.mark.parametrize(("name", "value"), [("dimension", 4), ("width", 3), ("integration_steps", 11)])
def test_a_network_that_cannot_be_built_is_an_error(name: str, value: int) -> None:
    with pytest.raises(ValueError, match="A network needs"):
        NetworkConfiguration(**{name: value})


@pytest.mark.parametrize(("architecture", "levels"), [("pyramid", 0), ("pyramid", 5), ("fcn", 3)])
def test_levels_that_there_are_not_are_an_error(architecture: str, levels: int) -> None:
    with pytest.raises(ValueError, match="levels is 1 to 4, and only the pyramid can have fewer"):
        NetworkConfiguration(architecture, levels=levels)


@dimensions
def test_a_pyramid_of_fewer_levels_has_the_weights_of_the_finer_ones(dimension: int) -> None:
    whole, lower = (build_network(NetworkConfiguration("pyramid", dimension, 4, levels=levels)) for levels in (4, 2))
    weights = whole.state_dict()
    assert all(weights[name].shape == value.shape for name, value in lower.state_dict().items())
    assert len(lower.state_dict()) < len(weights)
    pair = images(*[32] * dimension)
    assert [tuple(v.shape[2:]) for v in lower(*pair)] == [(size,) * dimension for size in (4, 8)]
    assert [tuple(v.shape[2:]) for v in whole(*pair)] == [(size,) * dimension for size in (1, 2, 4, 8)]


def test_an_unknown_architecture_is_an_error_of_the_builder() -> None:
    with pytest.raises(ValueError, match=r"no architecture 'voxelmorph'; choose fcn, pyramid\."):
        build_network(NetworkConfiguration(architecture="voxelmorph"))


def test_a_network_without_a_forward_pass_says_so() -> None:
    with pytest.raises(RuntimeError, match="no forward pass of its own"):
        Network(NetworkConfiguration())(*images(32, 32))


@pytest.mark.parametrize("shape", [(9, 12), (40, 36), (4, 5, 6)])
def test_the_normalisation_is_that_of_pytorch(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    features = 3 + 2 * torch.randn(2, 5, *shape)
    ours, theirs = (
        InstanceNorm(5),
        (torch.nn.InstanceNorm2d if len(shape) == 2 else torch.nn.InstanceNorm3d)(5, affine=True),
    )
    theirs.weight.data.uniform_(), theirs.bias.data.uniform_()
    ours.load_state_dict(theirs.state_dict())
    assert torch.allclose(ours(features), theirs(features), atol=1e-5)


@pytest.mark.parametrize("side", [8, 40])
def test_the_normalisation_keeps_the_channels_last(side: int) -> None:
    features = torch.rand(2, 5, side, side).contiguous(memory_format=torch.channels_last)
    assert InstanceNorm(5)(features).is_contiguous(memory_format=torch.channels_last)
