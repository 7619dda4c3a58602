"""Facts about files that are not, or no longer, model files: they are refused with a sentence, and run nothing."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model, save_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small but whole model file."""
    torch.manual_seed(21)
    configuration = ModelConfiguration(network=NetworkConfiguration(width=4))
    save_model(Model("any", build_network(configuration.network), configuration, Card()), tmp_path / "small.pt")
    return tmp_path / "small.pt"


def change(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Rewrites a model file after an edit of its content."""
    content = torch.load(file, weights_only=True)
    edit(content)
    torch.save(content, file)


class Code:
    """Makes a folder when it is unpickled by a reader that runs what a file contains."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f'mkdir "{self.trace}"',)


def test_the_code_of_this_test_would_run_in_a_careless_reader(tmp_path: Path) -> None:
    torch.save(Code(tmp_path / "trace"), tmp_path / "evil.pt")
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert (tmp_path / "trace").exists()


def test_code_in_a_file_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"format": "unsupervised-registration-model", "x": Code(tmp_path / "trace")}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="contains code or foreign objects"):
        load_model(tmp_path / "evil.pt")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="is truncated or not a model file; copy it again"):
        load_model(file)


def test_a_file_with_a_damaged_byte_is_refused(file: Path) -> None:
    weight = max(torch.load(file, weights_only=True)["weights"].values(), key=torch.numel)
    content = bytearray(file.read_bytes())
    content[content.index(bytes(weight.untyped_storage().tolist()))] ^= 1  # In a weight, which stays a finite number.
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or not a model file"):
        load_model(file)


@pytest.mark.parametrize("content", [b"Dear reader,\n", b"\x80\x04N."], ids=["text", "pickle"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.pt").write_bytes(content)
    with pytest.raises(ValueError, match="is truncated or not a model file"):
        load_model(tmp_path / "other.pt")


def test_an_archive_of_another_kind_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    with pytest.raises(ValueError, match="is damaged or not a model file"):
        load_model(tmp_path / "other.pt")


MALFORMED = {
    "nothing": b"",
    "empty stack": b"\x80\x02.",
    "unknown memo": b"\x80\x02h\xe9.",
    "storage of no type": b"\x80\x02K\x01Q.",
    "text of no encoding": b"\x80\x02X\1\0\0\0\xe9.",
}


@pytest.mark.parametrize("pickled", MALFORMED.values(), ids=MALFORMED.keys())
def test_an_archive_with_a_malformed_pickle_is_refused(tmp_path: Path, pickled: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("other/data.pkl", pickled)
        archive.writestr("other/version", "3\n")
    with pytest.raises(ValueError, match=r"other\.pt"):
        load_model(tmp_path / "other.pt")


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], torch.zeros(2), {"format": "else", "version": 1}])
def test_a_file_that_another_program_saved_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "foreign.pt")
    with pytest.raises(ValueError, match="is a PyTorch file but not a model of this extension"):
        load_model(tmp_path / "foreign.pt")


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "missing.pt")


def test_another_version_is_refused(file: Path) -> None:
    change(file, lambda c: c.update(version=99))
    with pytest.raises(ValueError, match="model version 99; this release reads 3"):
        load_model(file)


def test_the_former_version_is_refused_with_the_command_that_converts_it(file: Path) -> None:
    change(file, lambda c: c.update(version=2))
    with pytest.raises(ValueError, match=rf"model version 2; .*python -m training convert {file} NEW\.pt"):
        load_model(file)


@pytest.mark.parametrize("part", ["network", "preprocessing"])
def test_an_unknown_name_in_the_configuration_is_refused(file: Path, part: str) -> None:
    change(file, lambda c: c["configuration"][part].update(depth=3))
    with pytest.raises(ValueError, match=r"do not fit this release: .*Configuration has no depth; .* Train it again"):
        load_model(file)


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c.pop("weights"),
        lambda c: c.pop("card"),
        lambda c: c["weights"].pop("decoder.0.0.weight"),
        lambda c: c["weights"].update({"encoder.9.weight": torch.zeros(1)}),
        lambda c: c["weights"].update({"decoder.0.0.weight": torch.zeros(3, 3)}),
        lambda c: c["weights"].update({"decoder.0.0.weight": "three"}),
        lambda c: c["configuration"]["network"].update(width=8),
    ],
    ids=["no weights", "no card", "missing", "spare", "shape", "text", "width"],
)
def test_parts_that_do_not_fit_each_other_are_refused(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    change(file, edit)
    with pytest.raises(ValueError, match="is incomplete: its parts do not fit each other"):
        load_model(file)


@pytest.mark.parametrize(
    ("part", "name", "value", "sentence"),
    [
        ("network", "width", "four", "width = 'four', which should be int"),
        ("network", "width", 2500, "at most 256 channels"),
        ("network", "integration_steps", 2.5, "integration_steps = 2.5, which should be int"),
        ("network", "demons_steps", 10_000_000, "and 100 demons steps"),
        ("network", "normalised", "no", "normalised = 'no', which should be bool"),
        ("preprocessing", "max_size", 1_000_000, "64 to 4096 voxels a side"),
        ("preprocessing", "lower", "0.5", "lower = '0.5', which should be float"),
        ("preprocessing", "lower", 99.6, "lower intensity bound 99.6 must be below the upper one 99.5"),
        ("preprocessing", "upper", 101.0, "Percentiles are from 0 to 100"),
        ("preprocessing", "upper", float("inf"), "must be below the upper one inf"),
        ("preprocessing", "working_spacing", float("inf"), "a positive spacing"),
        ("preprocessing", "intensity", "log", "intensity = 'log', which should be Literal"),
    ],
)
def test_a_setting_of_another_type_or_size_is_refused(
    file: Path, part: str, name: str, value: object, sentence: str
) -> None:
    change(file, lambda c: c["configuration"][part].update({name: value}))
    with pytest.raises(ValueError, match=f"do not fit this release: .*{sentence}.* Train it again"):
        load_model(file)


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c["configuration"].update(network=None),
        lambda c: c.update(configuration=7),
        lambda c: c.update(card="good"),
        lambda c: c["card"].update(scores={"Dice": "good"}),
        lambda c: c["card"]["domain"].update(intensity_range=(0.0,)),
    ],
    ids=["no network", "number", "text", "score", "range"],
)
def test_a_part_of_another_type_is_refused(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    change(file, edit)
    with pytest.raises(ValueError, match="do not fit this release: "):
        load_model(file)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_weights_that_are_not_finite_are_refused(file: Path, bad: float) -> None:
    change(file, lambda c: c["weights"]["decoder.0.0.bias"].fill_(bad))
    with pytest.raises(ValueError, match="has weights that are not finite or larger than 1e\\+06"):
        load_model(file)
