"""One transformation for matrices, another one for all other parameters."""

import jax

from ..core import GradientTransformation, GradientTransformationExtraArgs
from ..core.types import Params, PyTree
from .dimension_numbers import WeightDimNumOrFn, check_numbers_fit, dimension_numbers
from .partitioning import partition

REST = "adam"


def matrices_and_rest(
    name: str,
    matrices: GradientTransformation,
    rest: GradientTransformation,
    numbers: WeightDimNumOrFn | None,
) -> GradientTransformationExtraArgs:
    """A partition into `name`, the parameters with dimension numbers, and "adam", all others."""

    def labels(params: Params) -> PyTree:
        check_numbers_fit(numbers, params)
        found = dimension_numbers(numbers, params)
        return jax.tree.map(lambda p, d: REST if d is None else name, params, found)

    return partition({name: matrices, REST: rest}, labels)
