"""Links: what a chain is made of, and the wrappers around transformations."""

from ..core import chain as chain, named_chain as named_chain
from .accumulation import (
    MultiSteps as MultiSteps,
    MultiStepsState as MultiStepsState,
    ShouldSkipUpdateFunction as ShouldSkipUpdateFunction,
    accumulate_gradients as accumulate_gradients,
    skip_large_updates as skip_large_updates,
    skip_not_finite as skip_not_finite,
)
from .adaptive_clipping import (
    AdaptiveGradClipState as AdaptiveGradClipState,
    adaptive_grad_clip as adaptive_grad_clip,
    unitwise_clip as unitwise_clip,
    unitwise_norm as unitwise_norm,
)
from .apply_every import ApplyEvery as ApplyEvery, apply_every as apply_every
from .asam import asam as asam
from .ascending import SAMState as SAMState
from .ascent import AscentState as AscentState
from .averaging import (
    AveragedParamsState as AveragedParamsState,
    TailAveragedParamsState as TailAveragedParamsState,
    ema_params as ema_params,
    swa_params as swa_params,
    tail_ema_params as tail_ema_params,
)
from .belief_state import ScaleByBeliefState as ScaleByBeliefState
from .block_clipping import clip_by_block_rms as clip_by_block_rms
from .cautious import cautious as cautious
from .cautious_decay import add_cautious_decay as add_cautious_decay
from .clipping import (
    ClipByGlobalNormState as ClipByGlobalNormState,
    ClipState as ClipState,
    GlobalNormState as GlobalNormState,
    clip as clip,
    clip_by_global_norm as clip_by_global_norm,
    with_global_norm as with_global_norm,
)
from .conditions import (
    ApplyIfFiniteState as ApplyIfFiniteState,
    ConditionallyMaskState as ConditionallyMaskState,
    ConditionallyTransformState as ConditionallyTransformState,
    ConditionFn as ConditionFn,
    apply_if_finite as apply_if_finite,
    conditionally_mask as conditionally_mask,
    conditionally_transform as conditionally_transform,
)
from .constraints import (
    NonNegativeParamsState as NonNegativeParamsState,
    ZeroNansState as ZeroNansState,
    keep_params_nonnegative as keep_params_nonnegative,
    zero_nans as zero_nans,
)
from .decay import (
    AddDecayedWeightsState as AddDecayedWeightsState,
    WeightDecaySchedule as WeightDecaySchedule,
    add_decayed_weights as add_decayed_weights,
)
from .decay_masks import decay_matrices_only as decay_matrices_only
from .decay_to_start import DecayToStartState as DecayToStartState, add_decay_to_start as add_decay_to_start
from .diloco import DilocoState as DilocoState, diloco as diloco
from .dimension_numbers import (
    MuonDimensionNumbers as MuonDimensionNumbers,
    matrix_dimension_numbers as matrix_dimension_numbers,
    matrix_labels as matrix_labels,
)
from .ema_nesterov import EmaNesterovState as EmaNesterovState, ema_nesterov as ema_nesterov
from .flattening import flatten as flatten
from .freezing import freeze as freeze, selective_transform as selective_transform
from .group_rules import layerwise_decay as layerwise_decay, no_decay as no_decay
from .groups import groups as groups
from .gsam import gsam as gsam
from .hutchinson import (
    HutchinsonState as HutchinsonState,
    hutchinson_estimator_diag_hessian as hutchinson_estimator_diag_hessian,
)
from .hyperball import HyperballState as HyperballState, hyperball as hyperball
from .lawa import LawaParamsState as LawaParamsState, lawa_params as lawa_params
from .lookahead import (
    LookaheadParams as LookaheadParams,
    LookaheadState as LookaheadState,
    lookahead as lookahead,
)
from .looksam import looksam as looksam
from .masking import MaskedNode as MaskedNode, MaskedState as MaskedState, masked as masked
from .mean_blocks import (
    MeanBlocks as MeanBlocks,
    adam_mini_blocks as adam_mini_blocks,
    spatial_blocks as spatial_blocks,
)
from .mechanize import MechanicState as MechanicState, mechanize as mechanize
from .momentum import EmaState as EmaState, TraceState as TraceState, ema as ema, trace as trace
from .monitoring import (
    MonitorState as MonitorState,
    SnapshotState as SnapshotState,
    measure_group_norms as measure_group_norms,
    measure_norm as measure_norm,
    measure_update_ratio as measure_update_ratio,
    measure_with_ema as measure_with_ema,
    monitor as monitor,
    snapshot as snapshot,
)
from .noise import AddNoiseState as AddNoiseState, add_noise as add_noise
from .normalizing import centralize as centralize, normalize_by_update_norm as normalize_by_update_norm
from .optimistic import (
    ScaleByOptimisticGradientState as ScaleByOptimisticGradientState,
    scale_by_optimistic_gradient as scale_by_optimistic_gradient,
)
from .param_block import (
    scale_by_param_block_norm as scale_by_param_block_norm,
    scale_by_param_block_rms as scale_by_param_block_rms,
)
from .partitioning import (
    MultiTransformState as MultiTransformState,
    PartitionState as PartitionState,
    multi_transform as multi_transform,
    partition as partition,
)
from .per_example import (
    per_example_global_norm_clip as per_example_global_norm_clip,
    per_example_layer_norm_clip as per_example_layer_norm_clip,
)
from .power_ema import PowerEmaParamsState as PowerEmaParamsState, power_ema_params as power_ema_params
from .power_sgd import PowerSgdState as PowerSgdState, power_sgd as power_sgd
from .reduce_on_plateau import (
    ReduceLROnPlateauState as ReduceLROnPlateauState,
    reduce_on_plateau as reduce_on_plateau,
)
from .sam import NormalizeState as NormalizeState, normalize as normalize, sam as sam
from .scale_by_adam import ScaleByAdamState as ScaleByAdamState, scale_by_adam as scale_by_adam
from .scale_by_adamax import scale_by_adamax as scale_by_adamax
from .scale_by_kl import (
    ScaleByKLState as ScaleByKLState,
    scale_by_kl_shampoo as scale_by_kl_shampoo,
    scale_by_kl_soap as scale_by_kl_soap,
)
from .scale_by_muon import MuonState as MuonState, scale_by_muon as scale_by_muon
from .scale_by_normuon import (
    ScaleByNormuonState as ScaleByNormuonState,
    scale_by_adamuon as scale_by_adamuon,
    scale_by_normuon as scale_by_normuon,
)
from .scale_by_radam import scale_by_radam as scale_by_radam
from .scale_by_rms import (
    ScaleByRmsState as ScaleByRmsState,
    ScaleByRmsWithCountState as ScaleByRmsWithCountState,
    scale_by_rms as scale_by_rms,
)
from .scale_heads import qk_clip_scales as qk_clip_scales, scale_heads as scale_heads
from .scaled_decay import (
    add_corrected_decay as add_corrected_decay,
    add_independent_decay as add_independent_decay,
)
from .scaled_group import scaled_group as scaled_group
from .scaling import (
    ScaleByScheduleState as ScaleByScheduleState,
    ScaleState as ScaleState,
    scale as scale,
    scale_by_learning_rate as scale_by_learning_rate,
    scale_by_schedule as scale_by_schedule,
)
from .schedule_free import (
    ScheduleFreeState as ScheduleFreeState,
    schedule_free as schedule_free,
    schedule_free_eval_params as schedule_free_eval_params,
)
from .sign import scale_by_sign as scale_by_sign
from .sign_majority_vote import (
    SignMajorityVoteState as SignMajorityVoteState,
    sign_majority_vote as sign_majority_vote,
)
from .split_complex import (
    SplitRealAndImaginaryState as SplitRealAndImaginaryState,
    split_real_and_imaginary as split_real_and_imaginary,
)
from .spsa import ScaleBySpsaState as ScaleBySpsaState, scale_by_spsa as scale_by_spsa
from .trust_ratio import (
    ScaleByTrustRatioState as ScaleByTrustRatioState,
    scale_by_trust_ratio as scale_by_trust_ratio,
)
from .tunable import TunableState as TunableState, tunable as tunable
