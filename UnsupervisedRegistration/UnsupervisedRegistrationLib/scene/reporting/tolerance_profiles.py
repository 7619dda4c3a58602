"""The profiles of tolerances, for the layers above ``scene``."""

from ...core.evaluation.tolerances import PROFILES as PROFILES
from ...core.evaluation.tolerances import ToleranceProfile as ToleranceProfile
from ...core.evaluation.tolerances import own_profile as own_profile
