"""Arithmetic on whole trees, their dtypes and random numbers, and access to parts of a state."""

from ..core.numerics import bias_correction as bias_correction
from .arithmetic import (
    add as add,
    add_scale as add_scale,
    allclose as allclose,
    clip as clip,
    conj as conj,
    div as div,
    mul as mul,
    real as real,
    scale as scale,
    sub as sub,
    where as where,
)
from .casting import cast as cast, cast_like as cast_like, dtype as dtype
from .filling import (
    batch_shape as batch_shape,
    full_like as full_like,
    ones_like as ones_like,
    zeros_like as zeros_like,
)
from .map_params import map_params as map_params
from .moments import (
    update_infinity_moment as update_infinity_moment,
    update_moment as update_moment,
    update_moment_per_elem_norm as update_moment_per_elem_norm,
)
from .norm import norm as norm
from .paths import path_name as path_name, paths as paths
from .random import (
    random_like as random_like,
    split_key_like as split_key_like,
    unwrap_random_key_data as unwrap_random_key_data,
)
from .reductions import max as max, min as min, size as size, sum as sum, vdot as vdot
from .state import (
    NamedTupleKey as NamedTupleKey,
    get as get,
    get_all_with_path as get_all_with_path,
    set as set,
)
