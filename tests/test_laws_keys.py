"""Law: random keys in a state, typed and raw, go through every wrapper."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arguments import by_rank, every_other, matrices_only
from cases import CASES
from trees import gradients, params, wide

import gradchain as gc

RANDOM = sorted({case.name for case in CASES if case.random})
KEYS = {"typed": jax.random.key, "raw": jax.random.PRNGKey}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "bare": lambda tx: tx,
    "chain": lambda tx: gc.chain(gc.clip(1.0), tx),
    "named_chain": lambda tx: gc.named_chain(("it", tx)),
    "masked": lambda tx: gc.masked(tx, matrices_only),
    "partition": lambda tx: gc.partition({"a": tx, "b": gc.sgd(0.1)}, by_rank),
    "accumulate_gradients": lambda tx: gc.accumulate_gradients(tx, 2),
    "MultiSteps": lambda tx: gc.MultiSteps(tx, 2).gradient_transformation(),
    "apply_if_finite": lambda tx: gc.apply_if_finite(tx, 2),
    "conditionally_mask": lambda tx: gc.conditionally_mask(tx, every_other),
    "conditionally_transform": lambda tx: gc.conditionally_transform(tx, every_other),
    "lookahead": lambda tx: gc.lookahead(tx, 2, 0.5),
    "lookahead that resets": lambda tx: gc.lookahead(tx, 2, 0.5, reset_state=True),
    "flatten": gc.flatten,
    "with_global_norm": gc.with_global_norm,
    "split_real_and_imaginary": gc.contrib.split_real_and_imaginary,
    "schedule_free": lambda tx: gc.contrib.schedule_free(tx, 0.1),
    "mechanize": gc.contrib.mechanize,
    "sam": lambda tx: gc.contrib.sam(tx, gc.sgd(0.01)),
    "looksam": lambda tx: gc.looksam(tx, 0.1, 2),
    "hyperball": lambda tx: gc.hyperball(tx, 0.1),
    "process": lambda tx: gc.experimental.aggregating.process(
        gc.identity(), gc.experimental.aggregating.average_per_element_updates(), tx
    ),
}


def random_one(name: str, key: Any) -> Any:
    """A transformation that draws from this key."""
    arguments = {
        "add_noise": (0.1, 0.5),
        "apollo": (0.1,),
        "mezo": (0.1,),
        "noisy_sgd": (0.1,),
        "quantize_state": (gc.scale_by_adam(),),
        "scale_by_apollo": (),
        "spsa": (0.1,),
        "stochastic_rounding": (gc.adam(0.1),),
    }
    factory = getattr(gc, name, None) or getattr(gc.contrib, name)
    if name == "dpsgd":
        return factory(0.1, 1.0, 1.0, seed=key)
    if name == "differentially_private_aggregate":
        return factory(1.0, 1.0, key=key)
    return factory(*arguments.get(name, ()), key=key)


@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("wrapper", list(WRAPPERS))
def test_keys_go_through_every_wrapper(wrapper: str, kind: str) -> None:
    p = params()
    tx = WRAPPERS[wrapper](gc.noisy_sgd(0.1, key=KEYS[kind](0)))
    step = jax.jit(tx.update)
    plain, compiled = tx.init(p), tx.init(p)
    for t in range(3):
        g = gradients(p, t)
        if wrapper == "process":
            g = jax.tree.map(lambda x: jnp.stack([x, x]), g)
        updates, plain = tx.update(g, plain, p)
        others, compiled = step(g, compiled, p)
        for ours, theirs in zip(jax.tree.leaves(updates), jax.tree.leaves(others), strict=True):
            np.testing.assert_allclose(wide(ours), wide(theirs), rtol=1e-5, atol=1e-7)
    assert jax.tree.structure(plain) == jax.tree.structure(tx.init(p))


@pytest.mark.parametrize("kind", list(KEYS))
def test_keys_are_injected_and_minimized_with(kind: str) -> None:
    key, p = KEYS[kind](0), params()
    tx = gc.inject_hyperparams(gc.noisy_sgd)(0.1, key=key)
    expected, _ = gc.noisy_sgd(0.1, key=key).update(gradients(p, 0), gc.noisy_sgd(0.1, key=key).init(p), p)
    updates, _ = jax.jit(tx.update)(gradients(p, 0), tx.init(p), p)
    np.testing.assert_allclose(wide(updates["w"]), wide(expected["w"]), rtol=1e-6)
    loss = lambda p: jnp.sum(p["w"] ** 2)  # noqa: E731
    found = gc.tools.minimize(loss, p, gc.noisy_sgd(0.1, eta=0.0, key=key), max_steps=5)
    assert found.steps == 5
    assert loss(found.params) < loss(p)


@pytest.mark.parametrize("name", RANDOM)
def test_a_key_is_a_copy_of_the_users(name: str) -> None:
    key = jax.random.key(0)
    tx = random_one(name, key)
    state = tx.init(params())
    held = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)]
    assert held or name == "quantize_state"  # which keeps seeds, drawn with the key
    assert all(x is not key for x in held)
