"""Between MRML and ``core``: slice planes, volumes, transform nodes, landmarks, slice views.

Positions are RAS millimetres in the world, matrices 4 x 4 numpy arrays. Only ``registration``, and
``report`` through it, import torch; the other modules work before PyTorch is installed.
"""
