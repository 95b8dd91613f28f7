"""Laws: transformations vectorize over parameters and over hyperparameters."""

import jax
import jax.numpy as jnp
import pytest
from cases import CASES, Case, ids
from trees import check_close, gradients, params, run

import gradchain as gc


@pytest.mark.parametrize("case", **ids([case for case in CASES if case.extra is None]))
def test_vmap_over_parameters(case: Case) -> None:
    tx, trees = case.make(), [params(seed=seed) for seed in range(2)]
    grads = [gradients(p, seed) for seed, p in enumerate(trees)]
    stack = lambda *xs: jnp.stack(xs)  # noqa: E731
    many = jax.tree.map(stack, *trees)
    step = lambda g, p: tx.update(g, tx.init(p), p)  # noqa: E731
    updates, states = jax.vmap(step)(jax.tree.map(stack, *grads), many)
    singles = [step(g, p) for g, p in zip(grads, trees, strict=True)]
    check_close((updates, states), jax.tree.map(stack, *singles), 1e-6)


@pytest.mark.parametrize("case", **ids([case for case in CASES if case.numbers]))
def test_vmap_over_a_hyperparameter(case: Case) -> None:
    name = next(iter(case.numbers))
    values = [0.05, 0.1]

    @jax.jit
    def train(value):
        return run(gc, case.make(**{name: value}), params(), 2, case.extra)[2]

    swept = jax.vmap(train)(jnp.asarray(values))
    singles = [train(jnp.asarray(value)) for value in values]
    check_close(swept, jax.tree.map(lambda *xs: jnp.stack(xs), *singles), 1e-6)
    plain = run(gc, case.make(**{name: values[0]}), params(), 2, case.extra)[2]
    check_close(singles[0], plain, 1e-4)
