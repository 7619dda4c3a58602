"""The mathematics of the registration, in torch alone; runs in any Python.

Conventions, valid in every module of this package:

* Images are ``(B, C, *spatial)`` with ``spatial = (H, W)`` or ``(D, H, W)``, axes in array order (slowest first).
* ``displacement`` is ``(B, d, *spatial)``, on the fixed grid, in voxels of that grid. Component ``c`` runs along
  spatial axis ``c``. It pulls back: ``warped(x) = moving(x + displacement(x))``.
* ``velocity`` has the same shape and unit. It is a stationary field, and its flow at time 1 is the deformation.
* Patient space is RAS in millimetres. LPS exists in files only. ``grid.ImageGrid.displacement_to_ras`` is the
  one function that turns voxel displacements into RAS vectors.

Three modules do without torch, so that Slicer can use them before it is installed: ``phantom``, on numpy, draws the
sample data, ``catalogue`` lists the model files, and ``choice`` tells which of them fits a pair.
"""
