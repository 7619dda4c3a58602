"""The options of a registration, for every user interface; needs no torch."""

from typing import Literal

from ..core.registration.options import AUTOMATIC as AUTOMATIC
from ..core.registration.options import Prealignment as Prealignment
from ..core.registration.options import Preset as Preset
from ..core.registration.options import RegistrationOptions as RegistrationOptions
from ..core.registration.options import Similarity as Similarity
from ..core.registration.options import TransformType as TransformType

Orientation = Literal["axial", "sagittal", "coronal"]
"""Of a slice of a volume."""
