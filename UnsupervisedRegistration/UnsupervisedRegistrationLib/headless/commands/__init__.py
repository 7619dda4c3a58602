"""The commands: each file has ``add``, which adds its parser, and ``run``, which does it and returns an ``Outcome``."""

from . import demo, models, register

COMMANDS = (register, demo, models)
"""In the order of ``--help``."""
