"""Aggregators: from the gradients of single elements to one update, and what is measured on the way.

The names of `optax.experimental.aggregating`.
"""

from .aggregator import Aggregator as Aggregator, AggregatorUpdateFn as AggregatorUpdateFn
from .averages import (
    AccumulateAvgUpdatesState as AccumulateAvgUpdatesState,
    accumulate_avg_updates as accumulate_avg_updates,
    average_incrementally_updates as average_incrementally_updates,
    average_per_element_updates as average_per_element_updates,
)
from .elements import get_batch_size_from_per_elt_updates as get_batch_size_from_per_elt_updates
from .moments import (
    PerElementMeanAndSumSqDiffGradsState as PerElementMeanAndSumSqDiffGradsState,
    get_per_element_mean_and_sum_sq_diff_grads as get_per_element_mean_and_sum_sq_diff_grads,
)
from .process import process as process
from .variance import (
    PerElementMeanAndVarianceEMAState as PerElementMeanAndVarianceEMAState,
    add_mean_variance_to_opt as add_mean_variance_to_opt,
    get_unbiased_mean_and_variance_ema as get_unbiased_mean_and_variance_ema,
    track_per_element_mean_and_variance_with_ema as track_per_element_mean_and_variance_with_ema,
)
