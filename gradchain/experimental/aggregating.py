"""The names of `optax.experimental.aggregating`; each is also in its folder."""

from ..aggregation import AccumulateAvgUpdatesState as AccumulateAvgUpdatesState
from ..aggregation import Aggregator as Aggregator
from ..aggregation import AggregatorUpdateFn as AggregatorUpdateFn
from ..aggregation import PerElementMeanAndSumSqDiffGradsState as PerElementMeanAndSumSqDiffGradsState
from ..aggregation import PerElementMeanAndVarianceEMAState as PerElementMeanAndVarianceEMAState
from ..aggregation import accumulate_avg_updates as accumulate_avg_updates
from ..aggregation import add_mean_variance_to_opt as add_mean_variance_to_opt
from ..aggregation import average_incrementally_updates as average_incrementally_updates
from ..aggregation import average_per_element_updates as average_per_element_updates
from ..aggregation import get_batch_size_from_per_elt_updates as get_batch_size_from_per_elt_updates
from ..aggregation import (
    get_per_element_mean_and_sum_sq_diff_grads as get_per_element_mean_and_sum_sq_diff_grads,
)
from ..aggregation import get_unbiased_mean_and_variance_ema as get_unbiased_mean_and_variance_ema
from ..aggregation import process as process
from ..aggregation import (
    track_per_element_mean_and_variance_with_ema as track_per_element_mean_and_variance_with_ema,
)
