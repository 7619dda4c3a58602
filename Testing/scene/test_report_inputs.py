"""The quality report of nodes in the scene: any transform node, clear refusals, and a scene that stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.result_transform import fixedRole, movingRole, setFittedLandmarks
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks
from UnsupervisedRegistrationLib.scene.reporting.assessment import (
    ReaderAssessment,
    readAssessment,
    storeAssessment,
)
from UnsupervisedRegistrationLib.scene.reporting.evidence import ReportInputs
from UnsupervisedRegistrationLib.scene.reporting.quality_report import makeReport

SHIFT = np.array([3.0, -2.0, 0.0])


@pytest.fixture
def inputs(oblique, makeVolume, scene):
    """A moving volume that is the fixed one, shifted, and the transform that says so."""
    fixed = makeVolume(oblique.ijkToRas, "Fixed", (9, 32, 40))
    matrix = oblique.ijkToRas.copy()
    matrix[:3, 3] += SHIFT
    moving = addVolume(scene, "Moving", slicer.util.arrayFromVolume(fixed), matrix)
    return ReportInputs(fixed, moving, translation(scene, -SHIFT))


def translation(scene, toParent):
    """A linear transform node that moves what is under it."""
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "T")
    transform = vtk.vtkTransform()
    transform.Translate(*toParent)
    node.SetAndObserveTransformToParent(transform)
    return node


def withLandmarks(inputs, scene, offset=(0.0, 0.0, 0.0)):
    centre = planeFromIndex(inputs.fixedVolume, None, 4).centre
    fixed = addLandmarks(scene, "F", {"a": tuple(centre)})
    moving = addLandmarks(scene, "M", {"a": tuple(centre + SHIFT + offset)})
    return replace(inputs, fixedLandmarks=fixed, movingLandmarks=moving)


def labels(scene, like, name, where, values=1):
    voxels = np.zeros_like(slicer.util.arrayFromVolume(like), dtype=np.uint8)
    voxels[where] = values
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, voxels)
    node.CopyOrientation(like)
    return node


def value(report, name):
    return next(item.value for item in report.check.items if item.name == name)


@pytest.mark.parametrize("under", [False, True])
def test_a_shift_is_measured_whether_the_moving_volume_is_under_it_or_not(inputs, scene, under):
    chosen = withLandmarks(inputs, scene)
    if under:
        for node in (chosen.movingVolume, chosen.movingLandmarks):
            node.SetAndObserveTransformNodeID(chosen.transformNode.GetID())
    report = makeReport(chosen)
    assert report.check.grade == "good"
    assert value(report, "TRE") == pytest.approx(0, abs=1e-6)
    assert value(report, "largest displacement") == pytest.approx(np.linalg.norm(SHIFT), abs=1e-4)
    assert value(report, "correlation") > 0.999


def test_structures_of_the_moving_volume_follow_it(inputs, scene):
    where = np.s_[3:7, 8:20, 8:20]
    chosen = replace(
        inputs,
        fixedStructures=labels(scene, inputs.fixedVolume, "L", where),
        movingStructures=labels(scene, inputs.movingVolume, "K", where),
    )
    assert value(makeReport(chosen), "Dice") == 1


@pytest.mark.parametrize("kind", ["linear", "grid", "spline"])
def test_every_kind_of_transform_is_reported(inputs, makeParent, kind):
    report = makeReport(replace(inputs, transformNode=makeParent(kind)))
    assert report.header["Transform"].startswith(
        {"linear": "linear", "grid": "displacement grid", "spline": "thin plate spline"}[kind]
    )
    assert value(report, "inverse consistency") < 0.1


def test_a_transform_under_another_one_is_composite(inputs, scene):
    chosen = withLandmarks(inputs, scene)
    half = translation(scene, -SHIFT / 2)
    first, second = translation(scene, -SHIFT / 2), half
    first.SetAndObserveTransformNodeID(second.GetID())
    report = makeReport(replace(chosen, transformNode=first))
    assert value(report, "TRE") == pytest.approx(0, abs=1e-6)


def test_landmarks_that_steered_are_no_evidence(inputs, scene):
    chosen = withLandmarks(inputs, scene)
    setFittedLandmarks(chosen.transformNode, {"a": None})
    report = makeReport(chosen)
    assert report.check.grade == "not validated"
    assert value(report, "fitted landmarks") == 1


def test_landmarks_off_the_slice_are_named_and_not_measured(inputs, scene):
    chosen = replace(withLandmarks(inputs, scene), plane=planeFromIndex(inputs.fixedVolume, None, 0))
    report = makeReport(chosen)
    assert report.check.grade == "not validated"
    assert any("1 of 1 landmarks lie off the axial slice 0" in sentence for sentence in report.advisories)


def test_structures_of_one_side_are_named(inputs, scene):
    where = np.s_[3:7, 8:20, 8:20]
    fixed = labels(scene, inputs.fixedVolume, "L", where)
    slicer.util.arrayFromVolume(fixed)[1:3, 8:20, 8:20] = 2
    chosen = replace(inputs, fixedStructures=fixed, movingStructures=labels(scene, inputs.movingVolume, "K", where))
    assert any("on one image only, not measured: 'label 2'" in sentence for sentence in makeReport(chosen).advisories)


def refused(inputs, snapshot, message):
    before = snapshot()
    with pytest.raises(ValueError, match=message):
        makeReport(inputs)
    assert snapshot() == before


def test_a_transform_of_other_volumes_is_refused(inputs, makeVolume, oblique, snapshot):
    other = makeVolume(oblique.ijkToRas, "Other")
    inputs.transformNode.SetNodeReferenceID(movingRole(), other.GetID())
    refused(inputs, snapshot, "The moving volume of the transform 'T' is 'Other', not 'Moving'")


def test_a_transform_of_the_opposite_direction_is_refused(inputs, snapshot):
    inputs.transformNode.SetNodeReferenceID(movingRole(), inputs.fixedVolume.GetID())
    inputs.transformNode.SetNodeReferenceID(fixedRole(), inputs.movingVolume.GetID())
    refused(inputs, snapshot, "opposite direction; exchange fixed and moving volume")


def test_a_singular_transform_is_refused(inputs, snapshot):
    flat = vtk.vtkTransform()
    flat.SetMatrix(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1.0, 0.0, 1.0])))
    inputs.transformNode.SetAndObserveTransformFromParent(flat)
    refused(inputs, snapshot, "is singular")


def test_a_transform_above_the_fixed_volume_is_refused(inputs, snapshot):
    inputs.fixedVolume.SetAndObserveTransformNodeID(inputs.transformNode.GetID())
    refused(inputs, snapshot, "moves the fixed volume 'Fixed' too")


def test_a_moving_volume_under_another_transform_is_refused(inputs, scene, snapshot):
    inputs.movingVolume.SetAndObserveTransformNodeID(translation(scene, (1, 0, 0)).GetID())
    refused(inputs, snapshot, "is not above it")


def test_landmarks_without_a_partner_are_refused(inputs, scene, snapshot):
    chosen = withLandmarks(inputs, scene)
    chosen.movingLandmarks.SetNthControlPointLabel(0, "b")
    refused(chosen, snapshot, "have no partner")


def test_structures_without_a_common_name_are_refused(inputs, scene, snapshot):
    where = np.s_[3:7, 8:20, 8:20]
    chosen = replace(
        inputs,
        fixedStructures=labels(scene, inputs.fixedVolume, "L", where),
        movingStructures=labels(scene, inputs.movingVolume, "K", where, 2),
    )
    refused(chosen, snapshot, "No structure has the same name")


def test_structures_off_the_slice_are_refused(inputs, scene, snapshot):
    where = np.s_[3:7, 8:20, 8:20]
    chosen = replace(
        inputs,
        plane=planeFromIndex(inputs.fixedVolume, None, 0),
        fixedStructures=labels(scene, inputs.fixedVolume, "L", where),
        movingStructures=labels(scene, inputs.movingVolume, "K", where),
    )
    refused(chosen, snapshot, "have no voxel in the axial slice 0")


def test_a_node_that_was_deleted_is_refused(inputs, scene, snapshot):
    scene.RemoveNode(inputs.movingVolume)
    refused(inputs, snapshot, "'Moving' was deleted")


def test_a_transform_that_ends_inside_the_patient_is_to_be_checked(inputs, makeParent):
    node = makeParent("grid")
    grid = node.GetTransformFromParent().GetDisplacementGrid()
    grid.SetSpacing(0.6, 0.6, 0.6)  # 12 mm.
    grid.SetOrigin(planeFromIndex(inputs.fixedVolume, None, 4).centre - 6)
    report = makeReport(replace(inputs, transformNode=node))
    assert value(report, "covered by the transform") < 50
    assert any("ends inside the patient's outline" in sentence for sentence in report.advisories)


def test_the_scene_stays_as_it_was(inputs, scene, snapshot):
    chosen = withLandmarks(inputs, scene)
    before = snapshot()
    makeReport(chosen)
    assert snapshot() == before


def test_an_assessment_is_saved_with_the_scene(inputs, reopened):
    storeAssessment(inputs.transformNode, ReaderAssessment("check", "moderate", "  look at the liver "))
    node = reopened(inputs.transformNode.GetScene()).GetFirstNodeByName("T")
    found = readAssessment(node)
    assert (found.grade, found.uncertainty, found.text) == ("check", "moderate", "look at the liver")
    assert found.time


def test_the_assessment_is_in_the_report(inputs):
    assert makeReport(inputs).assessment == ReaderAssessment()
    stored = storeAssessment(inputs.transformNode, ReaderAssessment("good"))
    assert makeReport(inputs).assessment == stored


def test_an_unknown_grade_of_a_reader_is_refused():
    with pytest.raises(ValueError, match="is no grade"):
        ReaderAssessment("fine")
