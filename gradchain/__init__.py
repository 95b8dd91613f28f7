"""gradchain: composable gradient transformations for JAX.

Every name is here flat (`gradchain.adam`) and in its folder (`gradchain.optimizers.adam`).
"""

from . import losses as losses
from . import optimizers as optimizers
from . import schedules as schedules
from . import tools as tools
from . import transforms as transforms
from . import tree as tree

# The protocol and the core
from .core import EmptyState as EmptyState
from .core import GradientTransformation as GradientTransformation
from .core import GradientTransformationExtraArgs as GradientTransformationExtraArgs
from .core import Hyperparameter as Hyperparameter
from .core import MaskOrFn as MaskOrFn
from .core import OptState as OptState
from .core import Params as Params
from .core import ScalarOrSchedule as ScalarOrSchedule
from .core import Schedule as Schedule
from .core import TransformInitFn as TransformInitFn
from .core import TransformUpdateExtraArgsFn as TransformUpdateExtraArgsFn
from .core import TransformUpdateFn as TransformUpdateFn
from .core import Updates as Updates
from .core import apply_updates as apply_updates
from .core import bias_correction as bias_correction
from .core import chain as chain
from .core import identity as identity
from .core import incremental_update as incremental_update
from .core import init_empty_state as init_empty_state
from .core import leafwise as leafwise
from .core import named_chain as named_chain
from .core import periodic_update as periodic_update
from .core import safe_increment as safe_increment
from .core import safe_int32_increment as safe_int32_increment
from .core import schedule as schedule
from .core import set_to_zero as set_to_zero
from .core import stateless as stateless
from .core import stateless_with_tree_map as stateless_with_tree_map
from .core import transformation as transformation
from .core import with_extra_args_support as with_extra_args_support

# Losses
from .losses import l2_loss as l2_loss
from .losses import softmax_cross_entropy as softmax_cross_entropy
from .losses import softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels
from .losses import squared_error as squared_error

# Optimizers
from .optimizers import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from .optimizers import ScaleByRmsState as ScaleByRmsState
from .optimizers import ScaleByRmsWithCountState as ScaleByRmsWithCountState
from .optimizers import ScaleByRssState as ScaleByRssState
from .optimizers import ScaleByRStdDevState as ScaleByRStdDevState
from .optimizers import ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState
from .optimizers import adadelta as adadelta
from .optimizers import adagrad as adagrad
from .optimizers import adam as adam
from .optimizers import adamax as adamax
from .optimizers import adamw as adamw
from .optimizers import nadam as nadam
from .optimizers import rmsprop as rmsprop
from .optimizers import scale_by_adadelta as scale_by_adadelta
from .optimizers import scale_by_rms as scale_by_rms
from .optimizers import scale_by_rss as scale_by_rss
from .optimizers import scale_by_stddev as scale_by_stddev
from .optimizers import sgd as sgd

# Schedules
from .schedules import constant_schedule as constant_schedule
from .schedules import cooldown_schedule as cooldown_schedule
from .schedules import cosine_decay_schedule as cosine_decay_schedule
from .schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
from .schedules import cyclic_schedule as cyclic_schedule
from .schedules import exponential_decay as exponential_decay
from .schedules import join_schedules as join_schedules
from .schedules import linear_onecycle_schedule as linear_onecycle_schedule
from .schedules import linear_schedule as linear_schedule
from .schedules import piecewise_constant_schedule as piecewise_constant_schedule
from .schedules import piecewise_constant_schedule_by_fraction as piecewise_constant_schedule_by_fraction
from .schedules import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from .schedules import (
    piecewise_interpolate_schedule_by_fraction as piecewise_interpolate_schedule_by_fraction,
)
from .schedules import polynomial_schedule as polynomial_schedule
from .schedules import polynomial_schedule_by_fraction as polynomial_schedule_by_fraction
from .schedules import power_schedule as power_schedule
from .schedules import rewarmup_schedule as rewarmup_schedule
from .schedules import rex_schedule as rex_schedule
from .schedules import sgdr_schedule as sgdr_schedule
from .schedules import warmup_constant_schedule as warmup_constant_schedule
from .schedules import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from .schedules import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule
from .schedules import warmup_inverse_sqrt_schedule as warmup_inverse_sqrt_schedule
from .schedules import warmup_stable_decay_schedule as warmup_stable_decay_schedule

# Links and wrappers
from .transforms import AddDecayedWeightsState as AddDecayedWeightsState
from .transforms import ClipByGlobalNormState as ClipByGlobalNormState
from .transforms import ClipState as ClipState
from .transforms import EmaState as EmaState
from .transforms import MaskedNode as MaskedNode
from .transforms import MaskedState as MaskedState
from .transforms import ScaleByAdamState as ScaleByAdamState
from .transforms import ScaleByScheduleState as ScaleByScheduleState
from .transforms import ScaleState as ScaleState
from .transforms import TraceState as TraceState
from .transforms import WeightDecaySchedule as WeightDecaySchedule
from .transforms import add_decayed_weights as add_decayed_weights
from .transforms import clip as clip
from .transforms import clip_by_global_norm as clip_by_global_norm
from .transforms import ema as ema
from .transforms import masked as masked
from .transforms import scale as scale
from .transforms import scale_by_adam as scale_by_adam
from .transforms import scale_by_adamax as scale_by_adamax
from .transforms import scale_by_learning_rate as scale_by_learning_rate
from .transforms import scale_by_schedule as scale_by_schedule
from .transforms import trace as trace
