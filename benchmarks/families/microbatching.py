"""Gradients of a Flax MLP by microbatches: temporary memory and time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from ..harness import LIBRARIES, Figure, benchmark, in_turns, module, seconds

BATCH, WIDTH = 8192, 256

Loss = Callable[..., Any]


class MLP(nn.Module):
    """Four hidden layers of one width, and one output."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        for _ in range(4):
            x = nn.relu(nn.Dense(WIDTH)(x))
        return nn.Dense(1)(x)[..., 0]


def problem() -> tuple[Loss, tuple[Any, ...]]:
    """The loss, and parameters, inputs and targets."""
    network = MLP()
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (BATCH, WIDTH))
    args = network.init(keys[1], x), x, jax.random.normal(keys[2], (BATCH,))

    def loss(params: Any, x: Any, y: Any) -> Any:
        return jnp.mean((network.apply(params, x) - y) ** 2)

    return loss, args


def of_gradient(m: Any, loss: Loss, n: int) -> Loss:
    """The mean of the microbatches' gradients."""
    of_batch = jax.value_and_grad(loss)
    return m.microbatch(of_batch, (1, 2), BATCH // n, m.AccumulationType.MEAN)


def gradient_of(m: Any, loss: Loss, n: int) -> Loss:
    """The gradient of the mean of the microbatches' losses."""
    mean = m.AccumulationType.MEAN
    return jax.value_and_grad(m.microbatch(loss, (1, 2), BATCH // n, mean))


def temporaries(compiled: Any) -> int:
    """Bytes of a compiled program besides arguments and results."""
    return compiled.memory_analysis().temp_size_in_bytes


def measure(repeats: int, n: int, make: Callable[[Any, Loss, int], Loss]) -> list[Figure]:
    """Bytes and seconds in n microbatches, and seconds in one batch."""
    loss, args = problem()
    whole = jax.jit(jax.value_and_grad(loss)).lower(*args).compile()
    actions = {}
    for library in LIBRARIES:
        compiled = jax.jit(make(module(f"{library}.microbatching"), loss, n)).lower(*args).compile()

        def act(compiled: Any = compiled) -> Any:
            return {
                "temporaries": temporaries(compiled),
                "time": seconds(lambda: compiled(*args)),
                "time, whole batch": seconds(lambda: whole(*args)),
            }

        act()
        actions[library] = act
    samples = in_turns(actions, repeats)
    most = (1 / n + 0.15) * temporaries(whole)
    return [
        Figure("temporaries", "bytes", samples["temporaries"], 1.0, most),
        Figure("time", "s", samples["time"], 1.05),
        Figure("time, whole batch", "s", samples["time, whole batch"]),
    ]


def _register(n: int) -> None:
    @benchmark(f"microbatch/{n}", f"gradient of a Flax MLP, batch {BATCH}, in {n} microbatches")
    def inside(repeats: int) -> list[Figure]:
        return measure(repeats, n, of_gradient)

    @benchmark(f"microbatch_loss/{n}", f"the same as the gradient of a loss in {n} microbatches")
    def outside(repeats: int) -> list[Figure]:
        return [
            figure._replace(most_ratio=None) if figure.quantity == "time" else figure
            for figure in measure(repeats, n, gradient_of)
        ]


for _n in (2, 4, 8):
    _register(_n)


@benchmark("micro_grad/8", "clipped gradients per example of a Flax MLP, batch 256, in 8 microbatches")
def per_example(repeats: int) -> list[Figure]:
    """`micro_grad` with a transformation of each example's gradient."""
    loss, (params, x, y) = problem()
    args = params, x[:256], y[:256]

    def clip(grads: Any) -> Any:
        factor = jnp.minimum(1, 1 / jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(grads))))
        return jax.tree.map(lambda g: factor * g, grads)

    actions = {}
    for library in LIBRARIES:
        micro_grad = module(f"{library}.microbatching").micro_grad
        clipped = micro_grad(loss, batch_argnums=(1, 2), microbatch_size=32, transform_fn=clip)
        compiled = jax.jit(clipped).lower(*args).compile()

        def act(compiled: Any = compiled) -> Any:
            return {"temporaries": temporaries(compiled), "time": seconds(lambda: compiled(*args))}

        act()
        actions[library] = act
    samples = in_turns(actions, repeats)
    return [
        Figure("temporaries", "bytes", samples["temporaries"], 1.0),
        Figure("time", "s", samples["time"], 1.05),
    ]
