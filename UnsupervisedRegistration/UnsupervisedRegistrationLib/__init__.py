"""Deformable registration of 2-D medical slices: ``core`` computes, ``scene`` speaks MRML, ``headless`` reads files."""
