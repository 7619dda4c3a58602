"""The commands, a file each. A file offers a function that adds the command's parser; its ``run`` does the work."""

from .apply import addApply
from .cohort import addCohort
from .demo import addDemo
from .dicom import addDicom
from .find import addFind
from .models import addModels
from .register import addRegister
from .report import addReport
from .validate import addValidate

COMMANDS = (addRegister, addApply, addCohort, addFind, addReport, addDemo, addDicom, addModels, addValidate)
"""In the order of ``--help``."""
