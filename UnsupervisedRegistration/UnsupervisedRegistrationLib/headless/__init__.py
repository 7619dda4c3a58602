"""Files in, files out: the registration of the module without the Slicer application, on the package slicer-core."""
