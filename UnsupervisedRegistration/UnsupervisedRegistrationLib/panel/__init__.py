"""The sections of the module's panel: signals of widgets in, state of widgets out.

The only package beside the module file that knows Qt. Each section owns some of the controls of the ``.ui``, asks
``scene`` for everything that concerns nodes, and computes nothing itself.
"""
