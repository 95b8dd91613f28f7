"""The dtype policy, in one place.

- A rule computes in at least float32 (complex64).
- A state keeps the dtypes it was made with: moments like the parameter or as asked, sums of squares in
  at least float32 or as asked. Counts are int32, hyperparameters at least float32.
- An update has the gradient's dtype. Where a rule reads the parameter or keeps something in its place
  (a momentum, an average), it has the wider one of gradient and parameter: a float32 parameter never
  gets a bfloat16 step. What lands on parameters in low precision has float32, see `Trait.LANDS`.
"""

import functools
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def dtype_of(x: Any) -> np.dtype:
    """The dtype JAX gives `x`: an array, a ShapeDtypeStruct or a Python scalar."""
    if not hasattr(x, "dtype"):
        return jax.dtypes.canonicalize_dtype(jnp.result_type(x))
    return x.dtype if is_key(x) else jax.dtypes.canonicalize_dtype(x.dtype)


def is_key(x: Any) -> bool:
    """Whether `x` is a typed random key (`jax.random.key`), which holds no numbers."""
    return hasattr(x, "dtype") and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def is_inexact(x: Any) -> bool:
    """Whether `x` is floating point or complex."""
    return jnp.issubdtype(dtype_of(x), jnp.inexact)


def compute_dtype(dtype: Any) -> np.dtype:
    """The dtype to compute in: float32 for the half precisions, else the dtype itself."""
    return np.dtype(jnp.float32) if jnp.finfo(dtype).bits < 32 else np.dtype(dtype)


def real_dtype(dtype: Any) -> np.dtype:
    """The dtype of `abs(x)` for `x` of this dtype."""
    return np.dtype(jnp.finfo(dtype).dtype)


def moment_dtype(dtype: Any, asked: Any = None) -> np.dtype:
    """Where averages of gradients are kept: as asked (complex for complex gradients), else as they are."""
    if asked is None:
        return np.dtype(dtype)
    if jnp.issubdtype(dtype, jnp.complexfloating) and not jnp.issubdtype(asked, jnp.complexfloating):
        return np.dtype(jnp.complex128 if jnp.finfo(asked).bits > 32 else jnp.complex64)
    return np.dtype(asked)


def accumulator_dtype(dtype: Any, asked: Any = None) -> np.dtype:
    """Where sums of squares are kept: as asked, else real and at least float32.

    A second moment in bfloat16 does not move: 0.999 rounds to 1.
    """
    return np.dtype(asked) if asked is not None else compute_dtype(real_dtype(dtype))


def widen(x: Any) -> Any:
    """`x` in its compute dtype; what is not floating point stays as it is."""
    if not is_inexact(x):
        return x
    wide = compute_dtype(dtype_of(x))
    as_it_is = isinstance(x, jax.Array) and x.dtype == wide and not x.weak_type
    return x if as_it_is else jnp.asarray(x, wide)


def cast(x: Any, dtype: Any) -> jax.Array:
    """`x` as a strongly typed array of `dtype`; a complex number loses its imaginary part if told to.

    A typed random key stays as it is.
    """
    if is_key(x):
        return x
    if jnp.issubdtype(dtype_of(x), jnp.complexfloating) and not jnp.issubdtype(dtype, jnp.complexfloating):
        x = jnp.real(x)
    return jax.lax.convert_element_type(x, dtype)


def relaxed_promotion() -> AbstractContextManager[Any]:
    """Inside rules float32 hyperparameters meet arrays of any dtype, whatever the user's setting."""
    return jax.numpy_dtype_promotion("standard")


def dtype_of_step(g: Any, p: Any) -> np.dtype:
    """The wider dtype of gradient and parameter; the gradient's where `p` is None."""
    return wider(dtype_of(g), dtype_of(p)) if p is not None and is_inexact(p) else dtype_of(g)


def _is_float(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating)


def wider(*dtypes: Any) -> np.dtype:
    """The narrowest dtype that holds the values of all of these; JAX promotes no floats of 8 bits."""
    if len(set(map(np.dtype, dtypes))) > 1:
        dtypes = tuple(jnp.float16 if np.dtype(d).itemsize == 1 and _is_float(d) else d for d in dtypes)
    with relaxed_promotion():
        return np.dtype(functools.reduce(_wider, map(np.dtype, dtypes)))


def _wider(a: np.dtype, b: np.dtype) -> np.dtype:
    """The wider of two. JAX leaves 8-bit floats out: every longer one holds them, bfloat16 any two."""
    floats = jnp.issubdtype(a, jnp.inexact) and jnp.issubdtype(b, jnp.inexact)
    if a == b or 1 not in (a.itemsize, b.itemsize) or not floats:
        return np.dtype(jnp.promote_types(a, b))
    return max(a, b, key=lambda x: x.itemsize) if a.itemsize != b.itemsize else np.dtype(jnp.bfloat16)
