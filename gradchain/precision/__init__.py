"""Low precision that is right and small: weights, states, gradients, and training that survives spikes."""

from .adagc import AdaGCState as AdaGCState, adagc as adagc
from .reset_moments import ResetMomentsState as ResetMomentsState, reset_moments as reset_moments
from .skip_outliers import SkipOutliersState as SkipOutliersState, skip_outliers as skip_outliers
from .zclip import ZClipState as ZClipState, zclip as zclip
