"""Laws: transformations vectorize over parameters and over hyperparameters."""

import jax
import jax.numpy as jnp
import pytest
from cases import TYPICAL, Case, ids
from trees import check_close, gradients, params, run

import gradchain as gc


@pytest.mark.parametrize("case", **ids([case for case in TYPICAL if case.extra is None]))
def test_vmap_over_parameters(case: Case) -> None:
    """Of whole steps: those of wrappers may take no update."""
    tx, trees = case.make(), [params(seed=seed) for seed in range(2)]
    grads = [gradients(p, seed) for seed, p in enumerate(trees)]
    stack = lambda *xs: jnp.stack(xs)  # noqa: E731
    step = jax.jit(jax.vmap(lambda g, p: tx.step(g, tx.init(p), p)))
    stepped = step(jax.tree.map(stack, *grads), jax.tree.map(stack, *trees))
    singles = [case.full_step(g, tx.init(p), p) for g, p in zip(grads, trees, strict=True)]
    check_close(stepped, jax.tree.map(stack, *singles), 2e-6)


@pytest.mark.parametrize("case", **ids([case for case in TYPICAL if case.numbers]))
def test_vmap_over_a_hyperparameter(case: Case) -> None:
    """Among the row's own value and another; the own one also equals the row made with a number."""
    name, own = next(iter(case.numbers.items()))
    values = jnp.asarray([own, 0.9 * own if own else 0.05])

    def train(value):
        return run(gc, case.make(**{name: value}), params(), 2, case.extra)[2]

    swept = jax.jit(jax.vmap(train))(values)
    first, second = (jax.tree.map(lambda x, i=i: x[i], swept) for i in range(2))
    check_close(second, train(values[1]), 1e-6)
    check_close(first, case.run(params(), 2)[2], 1e-4)
