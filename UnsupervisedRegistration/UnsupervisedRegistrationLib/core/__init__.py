"""The mathematics of the registration, without Slicer.

Conventions of all modules of this package:

* Images are ``(B, C, *spatial)`` with ``spatial = (H, W)`` or ``(D, H, W)``, axes in array order (slowest first).
* ``displacement`` is ``(B, d, *spatial)``, on the fixed grid, in voxels of that grid. Component ``c`` runs along
  spatial axis ``c``. It pulls back: ``warped(x) = moving(x + displacement(x))``.
* ``velocity`` has the same shape and unit. It is a stationary field, and its flow at time 1 is the deformation.
* Patient space is RAS in millimetres. LPS exists in files only. ``grid.ImageGrid.displacement_to_ras`` is the
  one function that turns voxel displacements into RAS vectors.

Words:

* ``fixed`` stays, ``moving`` is registered to it, ``warped`` is the moving image after the registration.
* ``mapping``: forward (fixed to moving) and inverse displacement together.
* ``similarity``: how well two images agree; ``regularisation`` or smoothness: how smooth the displacement is.
* ``folding``: the deformation is not invertible. Fold repair smooths the displacement there.
* Instance optimisation: the displacement is optimised for one pair, starting from the result of the network.
* Intensity mapping: a curve from the intensities of one image to those of the other; it gives matched intensities.
* ``network``: the ``nn.Module``; ``model``: a file with network, configuration and card.
* ``result``: what a registration returns; ``uncertainty``: its expected error, shown as the trust map.

Modules that Slicer uses before torch is installed import it inside functions or not at all:
``evaluation.tolerances``, ``images.phantom``, ``models.selection`` and ``registration.options``.
"""
