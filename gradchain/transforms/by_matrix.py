"""One transformation for matrices, another one for all other parameters."""

import jax

from ..core import GradientTransformation, GradientTransformationExtraArgs, chain
from ..core.types import Params, PyTree, ScalarOrSchedule
from .decay import add_decayed_weights
from .dimension_numbers import WeightDimNumOrFn, fitting_numbers
from .partitioning import partition
from .scale_by_adam import scale_by_adam
from .scaling import scale_by_learning_rate

REST = "adam"


def matrices_and_rest(
    name: str,
    matrices: GradientTransformation,
    rest: GradientTransformation,
    numbers: WeightDimNumOrFn | None,
) -> GradientTransformationExtraArgs:
    """A partition into `name`, the parameters with dimension numbers, and "adam", all others."""

    def labels(params: Params) -> PyTree:
        found = fitting_numbers(name, numbers, params)
        return jax.tree.map(lambda p, d: REST if d is None else name, params, found)

    return partition({name: matrices, REST: rest}, labels)


def adamw_links(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule,
    b2: ScalarOrSchedule,
    eps: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule,
) -> GradientTransformationExtraArgs:
    """AdamW, for parameters that are no matrices."""
    return chain(
        scale_by_adam(b1, b2, eps), add_decayed_weights(weight_decay), scale_by_learning_rate(learning_rate)
    )
