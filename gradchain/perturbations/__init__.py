"""Functions smoothed by random perturbations of their input, and the noise for it."""

from .multi_normal import (
    MultiNormalDiagFromLogScale as MultiNormalDiagFromLogScale,
    multi_normal as multi_normal,
)
from .noise import Gumbel as Gumbel, Noise as Noise, Normal as Normal
from .perturbed import make_perturbed_fun as make_perturbed_fun
