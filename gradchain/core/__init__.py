"""The core: pairs that remember their call, rules lifted to trees, chains. Imports jax only.

What rules are written with stands in `core.numerics` (one array), `core.lists` (lists of arrays) and
`core.matrices` (stacks of arrays of one shape). `core.rounding` rounds to low precision.
"""

from ._anatomy import (
    Part,
    Unknown,
    argument_of,
    parts,
    replaced,
    replaced_at,
    state_at,
    transformations_in,
    with_state_at,
)
from ._apply import apply_updates, incremental_update, periodic_update
from ._call import Call, Form, Remembers
from ._chain import (
    chain,
    identity,
    named_chain,
    set_to_zero,
    stateless,
    stateless_with_tree_map,
    step,
    with_extra_args_support,
)
from ._conditional import compiled, either, run_if, steps_like, wrapper, zeros_of
from ._devices import (
    Axis,
    check_axis,
    check_own_gradients,
    devices_along,
    exchanged,
    gathered,
    mean_over,
    means_at_once,
    place,
    sums_at_once,
    typed_as,
    varying,
)
from ._dtypes import (
    accumulator_dtype,
    cast,
    compute_dtype,
    dtype_of,
    dtype_of_step,
    is_inexact,
    moment_dtype,
    real_dtype,
    relaxed_promotion,
    widen,
    wider,
)
from ._errors import (
    LeafError,
    MissingExtraError,
    MissingParamsError,
    nearest,
    path_of_leaf,
    tree_mismatch,
    warn_user,
)
from ._extra import arguments_for
from ._factory import transformation
from ._leafwise import AFTER, init_empty_state, leafwise, without_after
from ._leaves import Leaves, check_updates, has_gradient, is_absent, is_none, leaves_like, scaled
from ._matrices import DimensionNumbers, MatrixView, by_shape
from ._matrixwise import Renewal, Views, matrixwise, views_of
from ._numbers import (
    AT_LEAST_1,
    CLOSED_UNIT,
    FINITE,
    NON_NEGATIVE,
    NON_NEGATIVE_OR_INF,
    POSITIVE,
    RANGES,
    UNIT,
    Range,
    check_numbers,
    declared_numbers,
    is_whole,
)
from ._order import OrderWarning, Trait, conflicts
from ._packed import Codec, Packed, is_packed, known_to_flax, packed_like, unpacked
from ._pair import GradientTransformation, GradientTransformationExtraArgs, Path
from ._safe import safe_norm, safe_root_mean_squares, scale_gradient
from ._schedule import schedule
from ._siblings import Siblings
from ._stacks import StackView
from ._tree_function import TreeFunction
from ._treewise import treewise
from ._typed import resharded, sharding_in_type, typed_like, uncut
from ._values import as_plain, code_of, key_of_value, name_of, signature
from .numerics import bias_correction, safe_increment, safe_int32_increment
from .types import (
    AddedNumber,
    Array,
    ArrayTree,
    Count,
    EmptyState,
    Hyperparameter,
    MaskOrFn,
    NumberType,
    Numeric,
    OptState,
    Params,
    ScalarOrSchedule,
    Schedule,
    TransformInitFn,
    TransformUpdateExtraArgsFn,
    TransformUpdateFn,
    Updates,
)
