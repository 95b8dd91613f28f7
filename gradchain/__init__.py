"""gradchain: composable gradient transformations for JAX.

Names are here flat (`gradchain.adam`) and in their folders (`gradchain.optimizers.adam`); those of
`aggregation`, `microbatching`, `perturbations` and `tools` that are helpers only in their folders.
"""

# Before JAX is imported, so that the command answers a Ctrl-C from its first moment.
from .compare import starting as _starting  # noqa: F401  # isort: skip
from . import aggregation as aggregation
from . import assignment as assignment
from . import contrib as contrib
from . import experimental as experimental
from . import linesearch as linesearch
from . import losses as losses
from . import microbatching as microbatching
from . import optimizers as optimizers
from . import perturbations as perturbations
from . import projections as projections
from . import schedules as schedules
from . import second_order as second_order
from . import tools as tools
from . import transforms as transforms
from . import tree as tree
from . import tree_utils as tree_utils

# The assignment problem
from .assignment import base_hungarian_algorithm as base_hungarian_algorithm
from .assignment import hungarian_algorithm as hungarian_algorithm

# The protocol and the core
from .core import ArrayTree as ArrayTree
from .core import EmptyState as EmptyState
from .core import GradientTransformation as GradientTransformation
from .core import GradientTransformationExtraArgs as GradientTransformationExtraArgs
from .core import Hyperparameter as Hyperparameter
from .core import MaskOrFn as MaskOrFn
from .core import Numeric as Numeric
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
from .core import safe_norm as safe_norm
from .core import safe_root_mean_squares as safe_root_mean_squares
from .core import scale_gradient as scale_gradient
from .core import schedule as schedule
from .core import set_to_zero as set_to_zero
from .core import stateless as stateless
from .core import stateless_with_tree_map as stateless_with_tree_map
from .core import transformation as transformation
from .core import with_extra_args_support as with_extra_args_support

# Line searches
from .linesearch import BacktrackingLinesearchInfo as BacktrackingLinesearchInfo
from .linesearch import ScaleByBacktrackingLinesearchState as ScaleByBacktrackingLinesearchState
from .linesearch import ScaleByZoomLinesearchState as ScaleByZoomLinesearchState
from .linesearch import ZoomLinesearchInfo as ZoomLinesearchInfo
from .linesearch import scale_by_backtracking_linesearch as scale_by_backtracking_linesearch
from .linesearch import scale_by_zoom_linesearch as scale_by_zoom_linesearch
from .linesearch import value_and_grad_from_state as value_and_grad_from_state

# Losses
from .losses import binary_dice_loss as binary_dice_loss
from .losses import cosine_distance as cosine_distance
from .losses import cosine_similarity as cosine_similarity
from .losses import ctc_loss as ctc_loss
from .losses import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from .losses import dice_loss as dice_loss
from .losses import generalized_kl_divergence as generalized_kl_divergence
from .losses import hinge_loss as hinge_loss
from .losses import huber_loss as huber_loss
from .losses import kl_divergence as kl_divergence
from .losses import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from .losses import l2_loss as l2_loss
from .losses import log_cosh as log_cosh
from .losses import make_fenchel_young_loss as make_fenchel_young_loss
from .losses import multiclass_generalized_dice_loss as multiclass_generalized_dice_loss
from .losses import multiclass_hinge_loss as multiclass_hinge_loss
from .losses import multiclass_perceptron_loss as multiclass_perceptron_loss
from .losses import multiclass_sparsemax_loss as multiclass_sparsemax_loss
from .losses import ntxent as ntxent
from .losses import perceptron_loss as perceptron_loss
from .losses import poly_loss_cross_entropy as poly_loss_cross_entropy
from .losses import ranking_softmax_loss as ranking_softmax_loss
from .losses import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from .losses import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from .losses import sigmoid_focal_loss as sigmoid_focal_loss
from .losses import smooth_labels as smooth_labels
from .losses import softmax_cross_entropy as softmax_cross_entropy
from .losses import softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels
from .losses import sparsemax_loss as sparsemax_loss
from .losses import squared_error as squared_error
from .losses import triplet_margin_loss as triplet_margin_loss

# Microbatches
from .microbatching import micro_grad as micro_grad
from .microbatching import micro_vmap as micro_vmap
from .microbatching import microbatch as microbatch

# Optimizers
from .optimizers import COCOBState as COCOBState
from .optimizers import DAdaptAdamWState as DAdaptAdamWState
from .optimizers import DoGState as DoGState
from .optimizers import DoWGState as DoWGState
from .optimizers import FactoredState as FactoredState
from .optimizers import GaLoreDimensionNumbers as GaLoreDimensionNumbers
from .optimizers import GaLoreState as GaLoreState
from .optimizers import HutchinsonState as HutchinsonState
from .optimizers import MadgradState as MadgradState
from .optimizers import MomoAdamState as MomoAdamState
from .optimizers import MomoState as MomoState
from .optimizers import ProdigyState as ProdigyState
from .optimizers import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from .optimizers import ScaleByAdanState as ScaleByAdanState
from .optimizers import ScaleByAdemamixState as ScaleByAdemamixState
from .optimizers import ScaleByAmsgradState as ScaleByAmsgradState
from .optimizers import ScaleByDistanceOverGradientsState as ScaleByDistanceOverGradientsState
from .optimizers import ScaleByLBFGSState as ScaleByLBFGSState
from .optimizers import ScaleByLionState as ScaleByLionState
from .optimizers import ScaleByNovogradState as ScaleByNovogradState
from .optimizers import ScaleByRpropState as ScaleByRpropState
from .optimizers import ScaleByRssState as ScaleByRssState
from .optimizers import ScaleByRStdDevState as ScaleByRStdDevState
from .optimizers import ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState
from .optimizers import ScaleBySimplifiedAdEMAMixState as ScaleBySimplifiedAdEMAMixState
from .optimizers import ScaleBySM3State as ScaleBySM3State
from .optimizers import SophiaState as SophiaState
from .optimizers import acprop as acprop
from .optimizers import adabelief as adabelief
from .optimizers import adadelta as adadelta
from .optimizers import adafactor as adafactor
from .optimizers import adagrad as adagrad
from .optimizers import adam as adam
from .optimizers import adamax as adamax
from .optimizers import adamaxw as adamaxw
from .optimizers import adamw as adamw
from .optimizers import adan as adan
from .optimizers import ademamix as ademamix
from .optimizers import adopt as adopt
from .optimizers import amsgrad as amsgrad
from .optimizers import cocob as cocob
from .optimizers import dadapt_adamw as dadapt_adamw
from .optimizers import dog as dog
from .optimizers import dowg as dowg
from .optimizers import fromage as fromage
from .optimizers import galore as galore
from .optimizers import hutchinson_estimator_diag_hessian as hutchinson_estimator_diag_hessian
from .optimizers import lamb as lamb
from .optimizers import lars as lars
from .optimizers import lbfgs as lbfgs
from .optimizers import lion as lion
from .optimizers import madgrad as madgrad
from .optimizers import momo as momo
from .optimizers import momo_adam as momo_adam
from .optimizers import muon as muon
from .optimizers import nadam as nadam
from .optimizers import nadamw as nadamw
from .optimizers import nnls as nnls
from .optimizers import noisy_sgd as noisy_sgd
from .optimizers import novograd as novograd
from .optimizers import optimistic_adam_v2 as optimistic_adam_v2
from .optimizers import optimistic_gradient_descent as optimistic_gradient_descent
from .optimizers import polyak_sgd as polyak_sgd
from .optimizers import prodigy as prodigy
from .optimizers import radam as radam
from .optimizers import rmsprop as rmsprop
from .optimizers import rprop as rprop
from .optimizers import scale_by_acprop as scale_by_acprop
from .optimizers import scale_by_adadelta as scale_by_adadelta
from .optimizers import scale_by_adan as scale_by_adan
from .optimizers import scale_by_ademamix as scale_by_ademamix
from .optimizers import scale_by_adopt as scale_by_adopt
from .optimizers import scale_by_amsgrad as scale_by_amsgrad
from .optimizers import scale_by_belief as scale_by_belief
from .optimizers import scale_by_cocob as scale_by_cocob
from .optimizers import scale_by_distance_over_gradients as scale_by_distance_over_gradients
from .optimizers import scale_by_dog as scale_by_dog
from .optimizers import scale_by_dowg as scale_by_dowg
from .optimizers import scale_by_factored_rms as scale_by_factored_rms
from .optimizers import scale_by_galore as scale_by_galore
from .optimizers import scale_by_lbfgs as scale_by_lbfgs
from .optimizers import scale_by_lion as scale_by_lion
from .optimizers import scale_by_madgrad as scale_by_madgrad
from .optimizers import scale_by_novograd as scale_by_novograd
from .optimizers import scale_by_polyak as scale_by_polyak
from .optimizers import scale_by_radam as scale_by_radam
from .optimizers import scale_by_rprop as scale_by_rprop
from .optimizers import scale_by_rss as scale_by_rss
from .optimizers import scale_by_simplified_ademamix as scale_by_simplified_ademamix
from .optimizers import scale_by_sm3 as scale_by_sm3
from .optimizers import scale_by_sophia as scale_by_sophia
from .optimizers import scale_by_stddev as scale_by_stddev
from .optimizers import scale_by_yogi as scale_by_yogi
from .optimizers import schedule_free_adamw as schedule_free_adamw
from .optimizers import schedule_free_sgd as schedule_free_sgd
from .optimizers import sgd as sgd
from .optimizers import sign_sgd as sign_sgd
from .optimizers import signum as signum
from .optimizers import simplified_ademamix as simplified_ademamix
from .optimizers import sm3 as sm3
from .optimizers import sophia as sophia
from .optimizers import yogi as yogi

# Perturbations
from .perturbations import make_perturbed_fun as make_perturbed_fun
from .perturbations import multi_normal as multi_normal

# Projections
from .projections import projection_box as projection_box
from .projections import projection_halfspace as projection_halfspace
from .projections import projection_hypercube as projection_hypercube
from .projections import projection_hyperplane as projection_hyperplane
from .projections import projection_l1_ball as projection_l1_ball
from .projections import projection_l1_sphere as projection_l1_sphere
from .projections import projection_l2_ball as projection_l2_ball
from .projections import projection_l2_sphere as projection_l2_sphere
from .projections import projection_linf_ball as projection_linf_ball
from .projections import projection_non_negative as projection_non_negative
from .projections import projection_simplex as projection_simplex
from .projections import projection_vector as projection_vector

# Schedules
from .schedules import InjectStatefulHyperparamsState as InjectStatefulHyperparamsState
from .schedules import StatefulSchedule as StatefulSchedule
from .schedules import WrappedSchedule as WrappedSchedule
from .schedules import WrappedScheduleState as WrappedScheduleState
from .schedules import constant_schedule as constant_schedule
from .schedules import cooldown_schedule as cooldown_schedule
from .schedules import cosine_decay_schedule as cosine_decay_schedule
from .schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
from .schedules import cyclic_schedule as cyclic_schedule
from .schedules import exponential_decay as exponential_decay
from .schedules import inject_hyperparams as inject_hyperparams
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

# Second order and linear algebra
from .second_order import diagonal as diagonal
from .second_order import empirical_fisher_diagonal as empirical_fisher_diagonal
from .second_order import empirical_fisher_vector_product as empirical_fisher_vector_product
from .second_order import fisher_diagonal as fisher_diagonal
from .second_order import fisher_vector_product as fisher_vector_product
from .second_order import gauss_newton_diagonal as gauss_newton_diagonal
from .second_order import gauss_newton_vector_product as gauss_newton_vector_product
from .second_order import hessian_diagonal as hessian_diagonal
from .second_order import hessian_vector_product as hessian_vector_product
from .second_order import matrix_inverse_pth_root as matrix_inverse_pth_root
from .second_order import power_iteration as power_iteration

# Tools
from .tools import eval_params as eval_params
from .tools import make_step as make_step
from .tools import minimize as minimize

# Links and wrappers
from .transforms import AdaptiveGradClipState as AdaptiveGradClipState
from .transforms import AddDecayedWeightsState as AddDecayedWeightsState
from .transforms import AddNoiseState as AddNoiseState
from .transforms import ApplyEvery as ApplyEvery
from .transforms import ApplyIfFiniteState as ApplyIfFiniteState
from .transforms import ClipByGlobalNormState as ClipByGlobalNormState
from .transforms import ClipState as ClipState
from .transforms import ConditionallyMaskState as ConditionallyMaskState
from .transforms import ConditionallyTransformState as ConditionallyTransformState
from .transforms import ConditionFn as ConditionFn
from .transforms import EmaState as EmaState
from .transforms import GlobalNormState as GlobalNormState
from .transforms import LookaheadParams as LookaheadParams
from .transforms import LookaheadState as LookaheadState
from .transforms import MaskedNode as MaskedNode
from .transforms import MaskedState as MaskedState
from .transforms import MechanicState as MechanicState
from .transforms import MonitorState as MonitorState
from .transforms import MultiSteps as MultiSteps
from .transforms import MultiStepsState as MultiStepsState
from .transforms import MultiTransformState as MultiTransformState
from .transforms import MuonDimensionNumbers as MuonDimensionNumbers
from .transforms import MuonState as MuonState
from .transforms import NonNegativeParamsState as NonNegativeParamsState
from .transforms import NormalizeState as NormalizeState
from .transforms import PartitionState as PartitionState
from .transforms import ReduceLROnPlateauState as ReduceLROnPlateauState
from .transforms import SAMState as SAMState
from .transforms import ScaleByAdamState as ScaleByAdamState
from .transforms import ScaleByBeliefState as ScaleByBeliefState
from .transforms import ScaleByOptimisticGradientState as ScaleByOptimisticGradientState
from .transforms import ScaleByRmsState as ScaleByRmsState
from .transforms import ScaleByRmsWithCountState as ScaleByRmsWithCountState
from .transforms import ScaleByScheduleState as ScaleByScheduleState
from .transforms import ScaleByTrustRatioState as ScaleByTrustRatioState
from .transforms import ScaleState as ScaleState
from .transforms import ScheduleFreeState as ScheduleFreeState
from .transforms import ShouldSkipUpdateFunction as ShouldSkipUpdateFunction
from .transforms import SnapshotState as SnapshotState
from .transforms import SplitRealAndImaginaryState as SplitRealAndImaginaryState
from .transforms import TraceState as TraceState
from .transforms import WeightDecaySchedule as WeightDecaySchedule
from .transforms import ZeroNansState as ZeroNansState
from .transforms import accumulate_gradients as accumulate_gradients
from .transforms import adaptive_grad_clip as adaptive_grad_clip
from .transforms import add_decayed_weights as add_decayed_weights
from .transforms import add_noise as add_noise
from .transforms import apply_every as apply_every
from .transforms import apply_if_finite as apply_if_finite
from .transforms import centralize as centralize
from .transforms import clip as clip
from .transforms import clip_by_block_rms as clip_by_block_rms
from .transforms import clip_by_global_norm as clip_by_global_norm
from .transforms import conditionally_mask as conditionally_mask
from .transforms import conditionally_transform as conditionally_transform
from .transforms import decay_matrices_only as decay_matrices_only
from .transforms import ema as ema
from .transforms import flatten as flatten
from .transforms import freeze as freeze
from .transforms import keep_params_nonnegative as keep_params_nonnegative
from .transforms import lookahead as lookahead
from .transforms import masked as masked
from .transforms import measure_group_norms as measure_group_norms
from .transforms import measure_norm as measure_norm
from .transforms import measure_update_ratio as measure_update_ratio
from .transforms import measure_with_ema as measure_with_ema
from .transforms import mechanize as mechanize
from .transforms import monitor as monitor
from .transforms import multi_transform as multi_transform
from .transforms import normalize as normalize
from .transforms import normalize_by_update_norm as normalize_by_update_norm
from .transforms import partition as partition
from .transforms import per_example_global_norm_clip as per_example_global_norm_clip
from .transforms import per_example_layer_norm_clip as per_example_layer_norm_clip
from .transforms import reduce_on_plateau as reduce_on_plateau
from .transforms import sam as sam
from .transforms import scale as scale
from .transforms import scale_by_adam as scale_by_adam
from .transforms import scale_by_adamax as scale_by_adamax
from .transforms import scale_by_learning_rate as scale_by_learning_rate
from .transforms import scale_by_muon as scale_by_muon
from .transforms import scale_by_optimistic_gradient as scale_by_optimistic_gradient
from .transforms import scale_by_param_block_norm as scale_by_param_block_norm
from .transforms import scale_by_param_block_rms as scale_by_param_block_rms
from .transforms import scale_by_rms as scale_by_rms
from .transforms import scale_by_schedule as scale_by_schedule
from .transforms import scale_by_sign as scale_by_sign
from .transforms import scale_by_trust_ratio as scale_by_trust_ratio
from .transforms import schedule_free as schedule_free
from .transforms import schedule_free_eval_params as schedule_free_eval_params
from .transforms import selective_transform as selective_transform
from .transforms import skip_large_updates as skip_large_updates
from .transforms import skip_not_finite as skip_not_finite
from .transforms import snapshot as snapshot
from .transforms import split_real_and_imaginary as split_real_and_imaginary
from .transforms import trace as trace
from .transforms import unitwise_clip as unitwise_clip
from .transforms import unitwise_norm as unitwise_norm
from .transforms import with_global_norm as with_global_norm
from .transforms import zero_nans as zero_nans

# Trees
from .tree import update_infinity_moment as update_infinity_moment
from .tree import update_moment as update_moment
from .tree import update_moment_per_elem_norm as update_moment_per_elem_norm

tree_map_params = tree.map_params

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    from .deprecated import lookup

    return lookup(__name__, name)
