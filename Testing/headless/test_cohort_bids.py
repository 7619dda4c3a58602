"""A BIDS data set as a cohort, and the page about its results."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest
import SimpleITK as sitk

from phantom_cohort import writeCohort
from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.cohort.bids import bidsPairs
from UnsupervisedRegistrationLib.headless.cohort.result_table import CohortRow
from UnsupervisedRegistrationLib.headless.cohort.summary_page import summaryPage, worstRows


def writeDataset(folder: Path) -> Path:
    """Three subjects: two contrasts; two sessions; one image."""
    writeCohort(folder / "pairs", 1)
    images = {
        "sub-01/anat/sub-01_T1w": "fixed",
        "sub-01/anat/sub-01_FLAIR": "moving",
        "sub-02/ses-1/anat/sub-02_ses-1_T1w": "fixed",
        "sub-02/ses-2/anat/sub-02_ses-2_T1w": "moving",
        "sub-03/anat/sub-03_T1w": "fixed",
    }
    for name, side in images.items():
        path = folder / "bids" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.JoinSeries(sitk.ReadImage(str(folder / "pairs" / f"00_{side}.nrrd"))), str(path))
    return folder / "bids"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writeDataset(tmp_path_factory.mktemp("bids"))


@pytest.fixture(scope="module")
def derivatives(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("derivatives") / "out"
    arguments = ["cohort", dataset, out, "participant", "--participant-label", "01", "02"]
    arguments += ["--device", "cpu", "--preset", "fast", "--model", "any-contrast"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main([str(argument) for argument in arguments]) == 0
    return out


def test_all_images_of_a_subject_move_onto_its_first_t1w(dataset: Path) -> None:
    names = [pair.name for pair in bidsPairs(dataset)]
    assert names == ["sub-01_from-FLAIR_to-T1w", "sub-02_from-ses2T1w_to-ses1T1w"]


def test_a_label_may_have_its_prefix(dataset: Path) -> None:
    assert len(bidsPairs(dataset, ["sub-01"])) == 1


@pytest.mark.parametrize(
    ("labels", "words"), [(["9"], "no subject 9; choose among: 01, 02, 03"), (["03"], "has two images")]
)
def test_what_cannot_be_paired_is_refused(dataset: Path, labels: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bidsPairs(dataset, labels)


@pytest.mark.parametrize(
    "name",
    [
        "sub-01/anat/sub-01_from-FLAIR_to-T1w_mode-image_xfm.h5",
        "sub-02/anat/sub-02_from-ses2T1w_to-ses1T1w_mode-image_xfm.h5",
    ],
)
def test_a_transform_has_its_bids_name(derivatives: Path, name: str) -> None:
    sitk.ReadTransform(str(derivatives / name))


def test_the_data_set_describes_itself(derivatives: Path) -> None:
    description = json.loads((derivatives / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert {"Name", "BIDSVersion", "GeneratedBy"} <= description.keys()


def test_bids_ignores_all_other_files(derivatives: Path) -> None:
    ignored = (derivatives / ".bidsignore").read_text().split()
    others = {path.name for path in derivatives.iterdir()} - {"sub-01", "sub-02"}
    assert others == {"dataset_description.json", ".bidsignore", "pairs", "results.csv", "summary.html", "options.json"}
    assert ignored == ["pairs/", "results*.csv", "summary*.html", "options.json"]


def test_the_pictures_of_the_summary_exist(derivatives: Path) -> None:
    page = (derivatives / "summary.html").read_text()
    sources = [part.partition('"')[0] for part in page.split('src="')[1:]]
    assert len(sources) == 2
    assert all((derivatives / source).is_file() for source in sources)


def test_a_participant_of_a_table_is_refused(tmp_path: Path) -> None:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        assert main(["cohort", str(tmp_path / "pairs.csv"), str(tmp_path / "out"), "participant"]) == 2
    assert "is no folder" in err.getvalue()


def test_the_worst_twenty_are_sorted_by_grade_then_error() -> None:
    rows = [CohortRow(f"good{n}", "good", tre_after_mm=float(n)) for n in range(30)]
    rows += [CohortRow("refused", "do not use", tre_after_mm=0.1), CohortRow("failed")]
    worst = worstRows(rows)
    assert [row.pair for row in worst[:3]] == ["refused", "good29", "good28"]
    assert len(worst) == 20


def test_a_message_is_escaped() -> None:
    assert "&lt;b&gt;" in summaryPage([CohortRow("pair", message="<b>")])
