"""The training loop repeats, resumes after a kill, shares a batch, refuses a loss that is not finite."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import torch.multiprocessing
import yaml

from training.configuration import RunConfiguration, run_from
from training.data.batches import Batch, Batches
from training.export import describe, export
from training.fit.objective import loss_of
from training.fit.trainer import fit
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network

ROOT = Path(__file__).parents[2]
TINY = """
network: {width: 4, integration_steps: 3}
synthesis: {size: [64, 64], warp_scales: [8, 16], warp_strengths: [1.0, 2.0]}
optimisation: {steps: 12, batch: 4, warmup: 2, average: 0.8, validate_every: 3}
validation: {count: 4}
"""
STEPS = 12
# One thread, as sums of floating-point numbers depend on how many there are.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}


def command(folder: Path) -> list[str]:
    """The command line of a tiny run."""
    (folder / "tiny.yaml").write_text(TINY)
    return [sys.executable, "-m", "training", "fit", str(folder / "tiny.yaml"), "--output", str(folder / "run")]


def run(arguments: list[str]) -> None:
    """Run the command to its end."""
    subprocess.run(arguments, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True, timeout=240)


def weights(folder: Path, output: str = "run") -> dict[str, torch.Tensor]:
    return torch.load(folder / output / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("finished")
    run(command(folder))
    return folder


def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(finished: Path, tmp_path: Path) -> None:
    arguments = command(tmp_path)
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "run" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"]
    assert 0 < stopped < STEPS
    run(arguments)
    resumed, whole = weights(tmp_path), weights(finished)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_an_exported_network_equals_the_averaged_one_bit_for_bit(finished: Path, tmp_path: Path) -> None:
    model = export([finished / "run" / "last.ckpt"], tmp_path / "tiny.pt")
    network = build_network(model.configuration.network)
    network.load_state_dict({k.removeprefix("network."): v for k, v in weights(finished).items() if "network." in k})
    fixed, moving = torch.rand(2, 1, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(
            network.eval()(fixed, moving)[-1], load_model(tmp_path / "tiny.pt").network(fixed, moving)[-1]
        )


def test_an_export_of_several_holds_the_mean_of_their_weights(finished: Path, tmp_path: Path) -> None:
    checkpoints = [finished / "run" / "last.ckpt", tmp_path / "other.ckpt"]
    state = torch.load(checkpoints[0], weights_only=True)
    state["state_dict"] = {name: values * 3 for name, values in state["state_dict"].items()}
    torch.save(state, checkpoints[1])
    model = export(checkpoints, tmp_path / "mean.pt")
    for name, values in model.network.state_dict().items():
        torch.testing.assert_close(values, 2 * weights(finished)[f"network.{name}"])
    assert model.card.data == "96 pairs"
    assert model.card.command.count(" fit ") == 2
    state["run"]["data"]["preprocessing"]["upper"] = 90.0
    torch.save(state, checkpoints[1])
    with pytest.raises(ValueError, match="has another network or preprocessing than"):
        export(checkpoints, tmp_path / "mean.pt")


ACROSS = """
network: {width: 4, integration_steps: 3}
data: {folders: [scans], masks: auto, every: 1, cache: cache}
synthesis: {size: [64, 64], warp_scales: [8, 16], warp_strengths: [1.0, 2.0]}
loss: {endpoint_weight: 0}
optimisation: {steps: 4, batch: 4, warmup: 2, average: 0.8, validate_every: 4}
validation: {count: 4}
"""


def test_a_run_on_two_devices_ends_with_the_weights_of_one(tmp_path: Path) -> None:
    """As a cluster starts it, from scans that one of the processes prepares."""
    (tmp_path / "scans").mkdir()
    for number in range(4):
        rows, columns = np.indices((64, 64))
        inside = ((rows - 30 - number) / (12 + number)) ** 2 + ((columns - 32 + number) / (15 - number)) ** 2 < 1
        voxels = inside * (100 + 40 * np.sin(rows / 5 + number) * np.cos(columns / 4) + np.zeros((3, 1, 1)))
        sitk.WriteImage(sitk.GetImageFromArray(voxels.astype(np.int16)), str(tmp_path / "scans" / f"p{number}_1.nii"))
    (tmp_path / "across.yaml").write_text(ACROSS)
    starts = {"run": [sys.executable], "two": [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]}
    for devices, (output, start) in enumerate(starts.items(), start=1):
        arguments = ["-m", "training", "fit", "across.yaml", "--output", output, "--devices", str(devices)]
        completed = subprocess.run(
            [*start, *arguments], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, encoding="utf-8"
        )
        assert completed.returncode == 0, completed.stderr
        assert completed.stderr.count("12 slices of 4 scans, 0 scans skipped") == 1
    one, two = (torch.cat([w.flatten() for w in weights(tmp_path, name).values()]) for name in starts)
    # Adam lets rounding decide about weights without a gradient. Half of the batch alone gives 0.01.
    assert float((one - two).norm() / one.norm()) < 1e-3


def test_other_settings_do_not_continue_a_checkpoint(finished: Path) -> None:
    settings = run_from({"seed": 2})
    with pytest.raises(ValueError, match=r"made with another configuration \(.*network.width.*seed"):
        fit(settings, finished / "run")


def test_a_checkpoint_of_another_network_is_refused_and_kept(finished: Path, tmp_path: Path) -> None:
    content = torch.load(finished / "run" / "last.ckpt", weights_only=True)
    content["state_dict"]["network.decoder.0.last.bias"] = torch.zeros(2)
    path = tmp_path / "last.ckpt"
    torch.save(content, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"last.ckpt' was made by another release.*train in another folder"):
        fit(run_from(content["run"]), tmp_path)
    with pytest.raises(ValueError, match="was made by another release"):
        export([path], tmp_path / "model.pt")
    assert path.read_bytes() == before


def test_a_checkpoint_with_settings_of_another_release_is_named(finished: Path, tmp_path: Path) -> None:
    content = torch.load(finished / "run" / "last.ckpt", weights_only=True)
    content["run"]["data"]["saturated"] = 0.5
    torch.save(content, tmp_path / "old.ckpt")
    with pytest.raises(ValueError, match=r"old.ckpt' was made by another release, with other settings: .*saturated"):
        export([tmp_path / "old.ckpt"], tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("architecture", "size", "needed"),
    [
        ("fcn", (160, 160), "multiples of 64, 128 at least"),
        ("pyramid", (60, 160), "multiples of 4, 64 at least"),
        ("pyramid", (90, 160), "multiples of 4, 64 at least"),
    ],
)
def test_a_size_that_does_not_fit_the_network_is_refused(
    architecture: str, size: tuple[int, int], needed: str, tmp_path: Path
) -> None:
    settings = run_from({"network": {"architecture": architecture, "width": 4}, "synthesis": {"size": size}})
    sentence = f"synthesis.size is {size}, but the network '{architecture}' needs {needed}."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        fit(settings, tmp_path)


FULL = """
import resource, sys, torch
from training.fit.trainer import AtomicCheckpointIO
content = torch.load(sys.argv[1], weights_only=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # Bytes; the checkpoint has more.
AtomicCheckpointIO().save_checkpoint(content | {"global_step": -1}, sys.argv[1])
"""


def test_a_full_disk_leaves_the_previous_checkpoint_readable(finished: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(finished / "run" / "last.ckpt", tmp_path))
    before = path.read_bytes()
    completed = subprocess.run(
        [sys.executable, "-c", FULL, path], cwd=ROOT, env=ENVIRONMENT, capture_output=True, encoding="utf-8"
    )
    assert (
        "last.ckpt' could not be written ([Errno 27] File too large); an existing file is unchanged."
        in completed.stderr
    )
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_the_card_of_an_export_names_command_data_and_all_settings(finished: Path, tmp_path: Path) -> None:
    model = export([finished / "run" / "last.ckpt"], tmp_path / "tiny.pt")
    assert model.card.command == shlex.join(["python", *command(finished)[1:]])
    assert model.card.data == "48 pairs"
    settings = describe(model).split("```yaml")[1].split("```")[0]
    assert run_from(yaml.safe_load(settings)) == tiny()


def test_an_export_makes_its_folder_or_says_why_it_cannot(finished: Path, tmp_path: Path) -> None:
    export([finished / "run" / "last.ckpt"], tmp_path / "new" / "models" / "tiny.pt")
    assert [file.name for file in (tmp_path / "new" / "models").iterdir()] == ["tiny.pt"]
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        OSError, match=r"tiny\.pt' could not be written \(.*File exists.*\); an existing file is unchanged"
    ):
        export([finished / "run" / "last.ckpt"], tmp_path / "file" / "tiny.pt")


def test_a_loss_that_is_not_finite_stops_the_run_and_saves_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Batches.draw

    def broken(self: Batches, step: int, device: torch.device) -> Batch:
        batch = draw(self, step, device)
        batch.fixed[0, 0, 0, 0] = float("nan")
        return batch

    monkeypatch.setattr(Batches, "draw", broken)
    settings = tiny()
    with pytest.raises(ValueError, match=r"The loss became nan at step 0; the batch is in '.*bad-batch.pt'"):
        fit(settings, tmp_path)
    assert torch.load(tmp_path / "bad-batch.pt", weights_only=True)["fixed"].shape == (4, 1, 64, 64)


def tiny() -> RunConfiguration:
    return run_from(yaml.safe_load(TINY))


def gradient(settings: RunConfiguration, rank: int, world: int) -> torch.Tensor:
    """Gradient of this process's share of the first batch, all weights in one vector."""
    torch.manual_seed(0)
    network = build_network(settings.network)
    batch = Batches(settings, None, rank, world).draw(0, torch.device("cpu"))
    loss_of(network, batch, settings.loss)[0].backward()
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def process(rank: int, folder: str, settings: RunConfiguration) -> None:
    """One of two processes that average their gradients, as DDP does."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    mean = gradient(settings, rank, 2) / 2
    torch.distributed.all_reduce(mean)
    if rank == 0:
        torch.save(mean, f"{folder}/mean.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_with_half_the_batch_give_the_gradient_of_one(tmp_path: Path) -> None:
    settings = run_from(
        {
            "network": {"width": 4, "integration_steps": 3},
            "synthesis": {"size": (64, 64)},
            "optimisation": {"batch": 8},
        }
    )
    torch.multiprocessing.spawn(process, (str(tmp_path), settings), nprocs=2)
    together = torch.load(tmp_path / "mean.pt", weights_only=True)
    alone = gradient(settings, 0, 1)
    assert float((together - alone).norm() / alone.norm()) < 1e-5


def test_the_last_step_is_saved_wherever_it_is_between_two_validations(tmp_path: Path) -> None:
    steps = []
    for wanted in (2, 5):  # A longer run goes on where the shorter one ended.
        settings = {**yaml.safe_load(TINY), "optimisation": {"steps": wanted, "batch": 4, "validate_every": 3}}
        state = torch.load(fit(run_from(settings), tmp_path, devices=1), weights_only=True)
        steps.append(state["global_step"])
    assert steps == [2, 5]
