"""Independent normal variables, given by their means and the logarithms of their scales."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..core import cast, dtype_of, relaxed_promotion, widen


def _floating(x: ArrayLike) -> jax.Array:
    """`x` as an array, integers as floating point."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


@dataclasses.dataclass(frozen=True, eq=False)
class MultiNormalDiagFromLogScale:
    """N(loc, diag(exp(log_scale))^2), a pytree of its two parameters. Made by `multi_normal`."""

    loc: jax.Array  # f[...]
    log_scale: jax.Array  # f[...], of a shape that broadcasts with loc's

    @property
    def params(self) -> list[jax.Array]:
        """`[loc, log_scale]`, as they were given."""
        return [self.loc, self.log_scale]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one draw: loc's and log_scale's broadcast together."""
        return jnp.broadcast_shapes(jnp.shape(self.loc), jnp.shape(self.log_scale))

    def sample(self, shape: tuple[int, ...], key: jax.Array) -> jax.Array:
        """Independent draws, f[*shape, *self.shape], in the dtype of the parameters.

        Args: shape, how many; key, a random key.
        """
        with relaxed_promotion():
            loc, scale = widen(self.loc), jnp.exp(widen(self.log_scale))
            shape = (*shape, *self.shape)
            draws = jax.random.normal(key, shape, jnp.result_type(loc, scale))
            wide = draws * jnp.broadcast_to(scale, shape) + jnp.broadcast_to(loc, shape)
            return cast(wide, jnp.result_type(self.loc, self.log_scale))

    def log_prob(self, x: ArrayLike) -> jax.Array:
        """The log-density at x, summed over the variables.

        Args: x, f[..., *self.shape].
        Returns: f[...], computed in at least float32: -sum (x - loc)^2 / (2 scale^2) + log(scale) +
            log(2 pi) / 2.
        """
        with relaxed_promotion(), jax.numpy_rank_promotion("allow"):
            x = _floating(x)
            log_scale = widen(self.log_scale)
            half = jnp.exp(-log_scale / 2)  # its square may overflow
            z = (widen(x) - widen(self.loc)) * half * half
            terms = -0.5 * z**2 - log_scale - 0.5 * math.log(2 * math.pi)
            axes = tuple(range(terms.ndim - len(self.shape), terms.ndim))
            return cast(jnp.sum(terms, axes), dtype_of(x))


jax.tree_util.register_dataclass(
    MultiNormalDiagFromLogScale, data_fields=["loc", "log_scale"], meta_fields=[]
)


def multi_normal(loc: ArrayLike, log_scale: ArrayLike) -> MultiNormalDiagFromLogScale:
    """A distribution of independent normal variables, to differentiate through its parameters.

    Args: loc, the means; log_scale, the logarithms of the standard deviations: real arrays of
        shapes that broadcast.
    Returns: an object with `sample(shape, key)`, `log_prob(x)`, `params` and `log_scale`, which is a
        pytree of the two parameters: it may be an argument and a result of jitted functions.
    Raises: ValueError for shapes that do not broadcast.
    Reference: Mohamed et al., 2019, Monte Carlo Gradient Estimation in Machine Learning,
        arXiv:1906.10652.
    """
    loc, log_scale = _floating(loc), _floating(log_scale)
    try:
        jnp.broadcast_shapes(loc.shape, log_scale.shape)
    except ValueError:
        raise ValueError(
            f"multi_normal: loc has shape {loc.shape} and log_scale {log_scale.shape}; expected shapes "
            "that broadcast."
        ) from None
    return MultiNormalDiagFromLogScale(loc, log_scale)
