"""The commands, a file each. A file offers a function that adds the command's parser; its ``run`` does the work."""

from .demo import addDemo
from .models import addModels
from .register import addRegister

COMMANDS = (addRegister, addDemo, addModels)
"""In the order of ``--help``."""
