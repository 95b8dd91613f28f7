"""Low precision that is right and small: weights, states, gradients, and training that survives spikes."""

from .adagc import AdaGCState as AdaGCState, adagc as adagc
from .kahan import KahanState as KahanState, kahan as kahan
from .loss_scale import (
    DynamicLossScaleState as DynamicLossScaleState,
    dynamic_loss_scale as dynamic_loss_scale,
    scale_loss as scale_loss,
)
from .master_weights import (
    MasterWeightsState as MasterWeightsState,
    with_master_weights as with_master_weights,
)
from .quantize_state import QuantizeStateState as QuantizeStateState, quantize_state as quantize_state
from .reset_moments import ResetMomentsState as ResetMomentsState, reset_moments as reset_moments
from .skip_outliers import SkipOutliersState as SkipOutliersState, skip_outliers as skip_outliers
from .split_weights import SplitWeightsState as SplitWeightsState, with_split_weights as with_split_weights
from .stochastic_rounding import (
    StochasticRoundingState as StochasticRoundingState,
    stochastic_rounding as stochastic_rounding,
)
from .zclip import ZClipState as ZClipState, zclip as zclip
