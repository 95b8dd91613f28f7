"""The few formulas that many rules share, written once and safe at their edges."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ._dtypes import accumulator_dtype, compute_dtype, dtype_of, is_key, moment_dtype
from .types import Array


def _zeros(p: Any, dtype: Any) -> jax.Array:
    return jnp.zeros_like(p, dtype) if hasattr(p, "shape") else jnp.zeros((), dtype)


def zeros_like(p: Any, dtype: Any = None) -> jax.Array:
    """Zeros of `p`'s shape and sharding, in `dtype` (its complex kind for a complex `p`) or `p`'s own."""
    return _zeros(p, moment_dtype(dtype_of(p), dtype))


def full_like(p: Any, value: Any, dtype: Any = None) -> jax.Array:
    """An accumulator of `p`'s shape filled with `value`: real, at least float32 unless asked."""
    return _zeros(p, accumulator_dtype(dtype_of(p), dtype)) + jnp.asarray(
        value, accumulator_dtype(dtype_of(p), dtype)
    )


def accumulator_like(p: Any, dtype: Any = None) -> jax.Array:
    """Zeros of `p`'s shape for a sum or mean of squares: real, at least float32 unless asked."""
    return _zeros(p, accumulator_dtype(dtype_of(p), dtype))


def copy_of(p: Any, dtype: Any = None) -> Array:
    """A copy of a parameter that may be donated apart from it; zeros where only a shape is known."""
    if isinstance(p, jax.ShapeDtypeStruct):
        return zeros_like(p, dtype)
    return jnp.array(p, dtype=moment_dtype(dtype_of(p), dtype), copy=True)


def wide_like(p: Any) -> Array:
    """Zeros of `p`'s shape in at least float32 (complex64)."""
    return zeros_like(p, compute_dtype(dtype_of(p)))


def key_of(key: Any) -> Array:
    """A random key of its own: a copy of a key, typed or raw, or one made from an integer (typed)."""
    return jax.random.key(key) if jnp.ndim(key) == 0 and not is_key(key) else jnp.array(key)


def drawn_like(sampler: Callable[..., Any], key: Any, x: Any, dtype: Any) -> jax.Array:
    """`sampler(key, shape, dtype)` in the shape of `x` and, under explicit sharding, in its sharding."""
    kwargs = {}
    # JAX without `typeof` has no explicit sharding.
    if hasattr(jax, "typeof") and isinstance(x, jax.Array):
        sharding = jax.typeof(x).sharding
        # Only an explicit mesh decides the sharding of the result.
        explicit = getattr(sharding.mesh, "are_all_axes_explicit", False)
        if explicit and "out_sharding" in inspect.signature(sampler).parameters:
            kwargs["out_sharding"] = sharding
    return sampler(key, jnp.shape(x), dtype, **kwargs)


def array_of(p: Any) -> jax.Array:
    """`p` as an array; zeros for a `ShapeDtypeStruct`, so that a state made of values has a shape too."""
    return jnp.zeros(p.shape, p.dtype) if isinstance(p, jax.ShapeDtypeStruct) else jnp.asarray(p)


def abs_sq(x: Any) -> jax.Array:
    """|x|^2, real for complex `x`, without a square root."""
    x = jnp.asarray(x)
    return (x.real**2 + x.imag**2) if jnp.iscomplexobj(x) else x * x


def ratio(x: Any, y: Any) -> Array:
    """x / y, and 0 where y is 0."""
    return jnp.where(y == 0, 0, x / jnp.where(y == 0, 1, y))


def one_minus(decay: Any) -> Any:
    """1 - decay, as exact for a float32 array as for a Python number.

    In float32, 1 - 0.999 is 0.00099998713, off by one part in 80,000, since 0.999 itself is rounded.
    A float32 that is the nearest one to a decimal of seven places stands for that decimal here, so a
    decay that is swept, injected or traced gives the bits of the same decay written in the code.
    """
    return _one_minus_decimal(decay) if getattr(decay, "dtype", None) == jnp.float32 else 1 - decay


@jax.custom_jvp
def _one_minus_decimal(decay: jax.Array) -> jax.Array:
    scale = 1e7 + 0 * decay  # no constant, by whose inverse XLA would multiply instead of dividing
    digits = jnp.round(decay * scale)
    return jnp.where(digits / scale == decay, (scale - digits) / scale, 1 - decay)


@_one_minus_decimal.defjvp
def _one_minus_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return _one_minus_decimal(*primals), -tangents[0]


def ema(x: Any, average: Any, decay: Any) -> jax.Array:
    """One step of an exponential moving average: (1 - decay) x + decay average."""
    return one_minus(decay) * x + decay * average


def weight_after(count: Any, decay: Any) -> Any:
    """The weights of an average that began at zero after `count` steps, in all: 1 - decay^count."""
    return 1 - decay**count


def debias(average: Any, decay: Any, count: Any) -> jax.Array:
    """An average of `count` steps that began at zero, without its bias: average / (1 - decay^count)."""
    return average / weight_after(count, decay)


@jax.custom_jvp
def sqrt(x: Any) -> jax.Array:
    """The square root, with derivative 0 at 0, so that gradients through an optimizer stay finite."""
    return jnp.sqrt(x)


@sqrt.defjvp
def _sqrt_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    root = jnp.sqrt(x)
    return root, jnp.where(root > 0, dx / (2 * jnp.where(root > 0, root, 1)), 0)


def norm(x: Any) -> jax.Array:
    """The 2-norm of all entries of one array: real, with derivative 0 where it is 0.

    For rules, which take one for each leaf: plain, since a conditional each, as `norms.py` has for a whole
    tree, would keep accelerators waiting.
    """
    return sqrt(jnp.sum(abs_sq(x)))


def rms(x: Any) -> jax.Array:
    """The root of the mean square of one array: real, 0 for an empty one, with derivative 0 at 0."""
    return sqrt(jnp.sum(abs_sq(x)) / max(jnp.size(x), 1))


def safe_increment(count: Any) -> jax.Array:
    """`count + 1`, held at the largest value of its dtype instead of wrapping around.

    Args: count, a number or array of any integer or floating dtype.
    Raises: ValueError for any other dtype.
    """
    count = jnp.asarray(count)
    if jnp.issubdtype(count.dtype, jnp.integer):
        top = jnp.iinfo(count.dtype).max
    elif jnp.issubdtype(count.dtype, jnp.floating):
        top = jnp.finfo(count.dtype).max
    else:
        raise ValueError(
            f"safe_increment: count must be an integer or a real number, received {count.dtype}."
        )
    one = jnp.ones((), count.dtype)
    return jnp.where(count < jnp.asarray(top, count.dtype), count + one, count)


def safe_int32_increment(count: Any) -> jax.Array:
    """`safe_increment`, under the name it had when counts could only be int32."""
    return safe_increment(count)


def bias_correction(moment: Any, decay: Any, count: Any) -> Any:
    """A tree of moving averages without their bias: moment / (1 - decay^count).

    Args: moment, a tree of averages that began at zero; decay, in [0, 1); count, steps taken, from 1.
    Reference: Kingma and Ba, 2014, Adam, section 3, arXiv:1412.6980.
    """
    divisor = 1 - decay ** jnp.asarray(count)
    return jax.tree.map(lambda m: m / jnp.asarray(divisor, jnp.asarray(m).dtype), moment)
