"""Low precision that is right and small: weights, states, gradients, and training that survives spikes."""

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
from .split_weights import SplitWeightsState as SplitWeightsState, with_split_weights as with_split_weights
from .stochastic_rounding import (
    StochasticRoundingState as StochasticRoundingState,
    stochastic_rounding as stochastic_rounding,
)
