"""Labelled pairs are found by name or by list, and scored as the literature does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from training.data.labelled_pairs import find_pairs
from training.evaluation.evaluate import evaluate
from training.export import export, set_scores
from UnsupervisedRegistrationLib.core.evaluation.metrics import mean_dice
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration, load_model, save_model
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration import symmetric_steps
from UnsupervisedRegistrationLib.core.registration.pipeline import ImagePair, run


def write(path: Path, shift: int = 0, shape: tuple[int, ...] = (1, 64, 64)) -> None:
    """A square with its label beside it, moved along the columns."""
    voxels = np.zeros(shape, np.int16)
    voxels[:, 20:40, 20 + shift : 40 + shift] = 100
    name, ending = path.name.split(".", 1)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    sitk.WriteImage(
        sitk.GetImageFromArray((voxels > 0).astype(np.uint8)), str(path.with_name(f"{name}_labels.{ending}"))
    )


def still() -> Model:
    """A model that moves nothing, because its last layers give zero."""
    network = build_network(NetworkConfiguration("pyramid", 2, 4, 3))
    for decoder in network.decoder.values():  # type: ignore[union-attr, operator]
        torch.nn.init.zeros_(decoder[-1].weight)
    return Model("still", network.eval(), ModelConfiguration(network.configuration), Card())


@pytest.mark.parametrize(("first", "second"), [("a_ED", "a_ES"), ("b_fixed", "b_moving")])
def test_two_names_make_a_pair(tmp_path: Path, first: str, second: str) -> None:
    write(tmp_path / f"{first}.nii.gz")
    write(tmp_path / f"{second}.nii.gz", shift=5)
    (pair,) = find_pairs(tmp_path, [0])
    assert pair.fixed[0, 0, 30, 20] == 100
    assert pair.moving[0, 0, 30, 20] == 0
    assert torch.equal(pair.moving_labels, (pair.moving > 0).float())


def test_volumes_without_such_names_pair_both_ways_at_every_slice(tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        write(tmp_path / f"{name}.nii.gz", shape=(4, 64, 64))
    assert len(list(find_pairs(tmp_path, [1, 3]))) == 3 * 2 * 2


def test_a_list_names_the_pairs(tmp_path: Path) -> None:
    write(tmp_path / "x.nrrd", shape=(4, 64, 64))
    write(tmp_path / "y.nrrd", shift=5, shape=(4, 64, 64))
    rows = "fixed,moving,fixed_labels,moving_labels,slice\nx.nrrd,y.nrrd,x_labels.nrrd,y_labels.nrrd,2\n"
    (tmp_path / "pairs.csv").write_text(rows)
    (pair,) = find_pairs(tmp_path / "pairs.csv", [0])
    assert mean_dice(pair.fixed_labels, pair.moving_labels) == pytest.approx(15 / 20)


def test_a_list_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="needs the columns fixed, moving, fixed_labels, moving_labels"):
        list(find_pairs(tmp_path / "pairs.csv", [0]))


def test_a_list_with_a_missing_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("fixed,moving,fixed_labels,moving_labels\nno.nrrd,a,b,c\n")
    with pytest.raises(OSError, match=r"There is no file '.*no\.nrrd'"):
        list(find_pairs(tmp_path / "pairs.csv", [0]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fixed,moving,fixed_labels,moving_labels\nx.nrrd\n", "Row 1 of .* names no fixed or no moving image"),
        ("fixed,moving,fixed_labels,moving_labels\nx,y,a,b,c\n", "Row 1 of .* has more values than there are columns"),
        ("fixed,moving,fixed_labels,moving_labels,slice\nx,y,a,b,one\n", "has the slice 'one'; it needs a number"),
        ("fixed,moving,fixed_labels,moving_labels,fold\nx,y,a,b,1\n", "has the columns fold, which nothing reads"),
        ("fixed,moving,fixed_labels,moving_labels\nx.nrrd,y.nrrd,x_labels.nrrd,\n", "labels, or landmarks, are needed"),
    ],
)
def test_a_list_that_does_not_fit_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    for name in ("x", "y"):
        write(tmp_path / f"{name}.nrrd")
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        list(find_pairs(tmp_path / "pairs.csv", [0]))


def test_a_list_that_a_spreadsheet_wrote_is_read(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write(tmp_path / f"{name}.nrrd")
    rows = "fixed, moving, fixed_labels, moving_labels\nx.nrrd, y.nrrd, x_labels.nrrd, y_labels.nrrd\n"
    (tmp_path / "pairs.csv").write_text(rows, encoding="utf-8-sig")
    assert len(list(find_pairs(tmp_path / "pairs.csv", [0]))) == 1


def test_a_list_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=r"pairs\.csv' is no table"):
        list(find_pairs(tmp_path / "pairs.csv", [0]))


def test_images_that_cannot_be_scored_are_named(tmp_path: Path) -> None:
    for name in ("x_fixed", "x_moving"):
        write(tmp_path / f"{name}.nii.gz")
    (tmp_path / "x_moving.nii.gz").write_text("text")
    with pytest.raises(ValueError, match=r"x_moving\.nii\.gz' cannot be read as an image"):
        list(find_pairs(tmp_path, [0]))
    sitk.WriteImage(sitk.Image([4, 4, 4, 4], sitk.sitkInt16), str(tmp_path / "x_moving.nii.gz"))
    with pytest.raises(ValueError, match="has 4 dimensions; a slice or a volume is needed"):
        list(find_pairs(tmp_path, [0]))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"The checkpoint '.*last\.ckpt' cannot be read"):
        export([path], tmp_path / "model.pt")


def test_a_folder_without_labels_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no labelled pair; looked for X_ED with X_ES"):
        list(find_pairs(tmp_path, [0]))


def test_small_labels_are_not_scored() -> None:
    fixed, moving = torch.zeros(1, 1, 20, 20), torch.zeros(1, 1, 20, 20)
    fixed[..., :5, :5], moving[..., :5, :5] = 1, 1
    fixed[..., 10:14, 10:14] = 2  # 16 pixels, of which the moving image has none.
    assert mean_dice(fixed, moving) == 1


def test_a_model_that_moves_nothing_leaves_the_dice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symmetric_steps, "FEW_STEPS", (0, 0))
    write(tmp_path / "a_ED.nii.gz")
    write(tmp_path / "a_ES.nii.gz", shift=5)
    score = evaluate(still(), find_pairs(tmp_path, [0]), "cpu")
    assert score.before == score.after
    assert score.after["Dice"] == pytest.approx(15 / 20)
    assert (score.pairs, score.worse, score.folding) == (1, 0, 0)


def seen(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> tuple[torch.Tensor, torch.Tensor]:
    """The fixed image of a pair, and what a model that was trained with these settings sees of it."""
    write(folder / "a_ED.nii.gz")
    write(folder / "a_ES.nii.gz", shift=5)
    (pair,) = find_pairs(folder, [0])
    images: list[torch.Tensor] = []

    def watched(given: ImagePair, *others: object) -> object:
        images.append(given.fixed)
        return run(given, *others)  # type: ignore[arg-type]

    monkeypatch.setattr("training.evaluation.evaluate.run", watched)
    model = still()
    configuration = dataclasses.replace(model.configuration, training=settings)
    for _ in range(2):
        evaluate(dataclasses.replace(model, configuration=configuration), [pair], "cpu")
    assert torch.equal(*images)  # Twice the same.
    return pair.fixed, images[0]


def test_a_model_of_plain_images_sees_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch.equal(*seen(tmp_path, monkeypatch))


def test_a_model_that_learned_in_noise_is_scored_in_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, shown = seen(tmp_path, monkeypatch, augmentation={"background_noise": 0.3})
    assert (shown[image > 0] == 1).all()
    assert 0.2 < shown[image == 0].mean() < 0.4
    assert shown[image == 0].std() > 0.05


def test_a_model_that_learned_with_masks_sees_no_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, shown = seen(tmp_path, monkeypatch, augmentation={"background_noise": 0.3}, data={"masks": "auto"})
    assert (shown[image > 0] == 1).all()
    assert not shown[image == 0].any()


def test_scores_in_the_card_leave_the_weights_as_they_are_stored(tmp_path: Path) -> None:
    configuration = NetworkConfiguration(width=8)
    network = build_network(configuration).eval()
    for name, half in (("half", True), ("full", False)):
        path = tmp_path / f"{name}.pt"
        stored = build_network(configuration).half() if half else network
        save_model(Model(name, stored, ModelConfiguration(configuration), Card()), path)
        before = path.stat().st_size
        set_scores(path, {"organ": 0.5})
        assert load_model(path).card.scores == {"organ": 0.5}
        assert path.stat().st_size < 1.1 * before
