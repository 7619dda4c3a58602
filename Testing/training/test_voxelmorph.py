"""VoxelMorph as a baseline: its network, its model file, its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from training.__main__ import main
from training.benchmark.trained_networks import trained_network
from training.benchmark.voxelmorph import VoxelMorph, build_network
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model, save_model
from UnsupervisedRegistrationLib.core.networks.fcn import FCN
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

ROOT = Path(__file__).parents[2]
SMALL = NetworkConfiguration("voxelmorph", width=4, integration_steps=0)


def test_the_network_has_the_published_number_of_weights() -> None:
    network = build_network(NetworkConfiguration("voxelmorph", width=16, integration_steps=0))
    assert sum(parameter.numel() for parameter in network.parameters()) == 109_170
    assert network(*torch.rand(2, 1, 1, 32, 48))[0].shape == (1, 2, 32, 48)


def test_the_builder_makes_the_networks_of_core_too() -> None:
    assert isinstance(build_network(NetworkConfiguration("fcn", width=4)), FCN)
    with pytest.raises(ValueError, match="There is no architecture 'unet'"):
        build_network(NetworkConfiguration("unet"))


def test_a_model_file_is_read_with_the_builder_of_the_benchmark_alone(tmp_path: Path) -> None:
    path = tmp_path / "voxelmorph.pt"
    save_model(Model("voxelmorph", build_network(SMALL), ModelConfiguration(SMALL), Card()), path)
    assert isinstance(load_model(path, build_network).network, VoxelMorph)
    with pytest.raises(ValueError, match="There is no architecture 'voxelmorph'; choose fcn, pyramid"):
        load_model(path)


def test_a_trained_network_sees_the_whole_image_at_any_size() -> None:
    network = build_network(SMALL).eval()
    torch.nn.init.zeros_(network.get_parameter("predict.weight"))
    network.get_parameter("predict.bias").data = torch.tensor([1.5, -2.0])
    images = torch.rand(2, 1, 1, 50, 70)
    pair = LabelledPair(images[0], images[1], ImageGrid((50, 70), torch.eye(4)))
    call, read = trained_network(Model("constant", network, ModelConfiguration(SMALL), Card()))(pair)
    found = read(call())
    assert torch.equal(found, torch.tensor([1.5, -2.0]).view(1, 2, 1, 1).expand(1, 2, 50, 70))


def test_it_is_trained_and_exported_by_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    for person in ("p1", "p2"):
        voxels = np.random.default_rng(int(person[1])).integers(0, 1000, (4, 64, 64)).astype(np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "scans" / f"{person}_T1w.nii.gz"))
    configuration = ROOT / "training" / "configurations" / "voxelmorph.yaml"
    tiny = ["--network.width", "4", "--synthesis.size", "[64, 64]", "--optimisation.steps", "2"]
    tiny += ["--optimisation.warmup", "1", "--optimisation.validate_every", "2", "--validation.count", "2"]
    tiny += ["--data.folders", "[scans]", "--data.every", "1", "--data.cache", "cache"]
    assert main(["fit", str(configuration), "--output", "run", "--devices", "1", *tiny]) == 0
    assert main(["export", "run/last.ckpt", "--output", "voxelmorph.pt"]) == 0
    assert isinstance(load_model(Path("voxelmorph.pt"), build_network).network, VoxelMorph)
