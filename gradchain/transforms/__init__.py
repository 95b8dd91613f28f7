"""Links: what a chain is made of, and the wrappers around transformations."""

from .clipping import ClipByGlobalNormState as ClipByGlobalNormState
from .clipping import ClipState as ClipState
from .clipping import clip as clip
from .clipping import clip_by_global_norm as clip_by_global_norm
from .decay import AddDecayedWeightsState as AddDecayedWeightsState
from .decay import WeightDecaySchedule as WeightDecaySchedule
from .decay import add_decayed_weights as add_decayed_weights
from .masking import MaskedNode as MaskedNode
from .masking import MaskedState as MaskedState
from .masking import masked as masked
from .momentum import EmaState as EmaState
from .momentum import TraceState as TraceState
from .momentum import ema as ema
from .momentum import trace as trace
from .scale_by_adam import ScaleByAdamState as ScaleByAdamState
from .scale_by_adam import scale_by_adam as scale_by_adam
from .scale_by_adamax import scale_by_adamax as scale_by_adamax
from .scaling import ScaleByScheduleState as ScaleByScheduleState
from .scaling import ScaleState as ScaleState
from .scaling import scale as scale
from .scaling import scale_by_learning_rate as scale_by_learning_rate
from .scaling import scale_by_schedule as scale_by_schedule
