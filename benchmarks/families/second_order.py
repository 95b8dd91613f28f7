"""Curvature and linear algebra: temporary memory and time beside Optax's deprecated helpers."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..harness import OURS, REFERENCE, Figure, benchmark, in_turns, seconds


def measure(
    repeats: int, functions: dict[str, Callable[..., Any]], args: Any, **limits: float
) -> list[Figure]:
    """Bytes and seconds of one compiled function of each library."""
    actions = {}
    for library, function in functions.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            compiled = jax.jit(function).lower(*args).compile()

        def act(compiled: Any = compiled) -> Any:
            return {
                "temporaries": compiled.memory_analysis().temp_size_in_bytes,
                "time": seconds(lambda: compiled(*args)),
            }

        act()
        actions[library] = act
    samples = in_turns(actions, repeats)
    return [
        Figure("temporaries", "bytes", samples["temporaries"], limits.get("temporaries")),
        Figure("time", "s", samples["time"], limits.get("time")),
    ]


@benchmark("hessian_diagonal/4096", "the exact diagonal of a Hessian of 4096 parameters")
def exact_diagonal(repeats: int) -> list[Figure]:
    """Optax holds the unit vectors and all products at once."""
    import optax

    from gradchain.second_order import hessian_diagonal

    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.random.normal(keys[0], (64, 64)) / 8
    x, y = jax.random.normal(keys[1], (32, 64)), jax.random.normal(keys[2], (32, 64))

    def loss(w: Any, x: Any, y: Any) -> Any:
        return jnp.mean((jnp.tanh(x @ w) - y) ** 2)

    return measure(
        repeats,
        {
            REFERENCE: lambda *args: optax.second_order.hessian_diag(loss, *args),
            OURS: lambda *args: hessian_diagonal(loss, *args),
        },
        (params, x, y),
        temporaries=0.05,
    )


@benchmark("matrix_inverse_pth_root/256", "the inverse fourth root of a 256x256 matrix")
def inverse_root(repeats: int) -> list[Figure]:
    """Of a covariance of 512 samples."""
    import optax

    from gradchain.second_order import matrix_inverse_pth_root

    x = jax.random.normal(jax.random.key(0), (512, 256))
    return measure(
        repeats,
        {
            REFERENCE: lambda a: optax.matrix_inverse_pth_root(a, 4),
            OURS: lambda a: matrix_inverse_pth_root(a, 4),
        },
        (x.T @ x / 512,),
        time=1.05,
    )
