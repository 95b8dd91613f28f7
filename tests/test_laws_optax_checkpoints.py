"""Laws: checkpoints of Optax's optimizers are ours, and ours are Optax's: training goes on."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint
import pytest
from cases import TWINS, Case, ids
from parity import along_steps
from trees import check_close, gradients, params, worst

import gradchain as gc

SHARED = [case for case in TWINS if case.optimizer]


class Library:
    """A row in one of the two libraries."""

    def __init__(self, case: Case, module: Any):
        self.case, self.tx = case, case.make(module)
        self.update = case.step if module is gc else case.optax_step
        self.promotion = "strict" if module is gc else "standard"

    def steps(self, p: Any, state: Any, first: int, last: int) -> tuple[Any, Any, list[Any]]:
        """Parameters and state after some steps, and the updates."""
        updates = []
        with jax.numpy_dtype_promotion(self.promotion):
            for step in range(first, last):
                u, state = self.update(gradients(p, step), state, p, **self.case.more(p, step))
                p = gc.apply_updates(p, u)
                updates.append(jax.tree.leaves(u))
        return p, state, updates


def is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def through_flax(state: Any, like: Any) -> Any:
    """A state written by Flax, and restored in the place of another library's."""
    plain = gc.tree.unwrap_random_key_data  # Flax cannot write typed keys
    read = flax.serialization.from_bytes(plain(like), flax.serialization.to_bytes(plain(state)))
    leaves = [
        jax.random.wrap_key_data(jnp.asarray(x)) if is_key(y) else jnp.asarray(x)
        for x, y in zip(jax.tree.leaves(read), jax.tree.leaves(like), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


@pytest.mark.parametrize("case", **ids(SHARED))
def test_training_goes_on_from_the_other_library_s_bytes(case: Case) -> None:
    ours, theirs = Library(case, gc), Library(case, optax)
    for before, after in ((theirs, ours), (ours, theirs)):
        p, state, _ = before.steps(params(), before.tx.init(params()), 0, 2)
        restored = through_flax(state, after.tx.init(params()))
        *_, expected = before.steps(p, state, 2, 4)
        *_, further = after.steps(p, restored, 2, 4)
        limit = max(10 * case.rtol, 1e-5)
        error = worst(along_steps(further), along_steps(expected))
        assert error <= limit, f"relative difference {error:.2e} > {limit:.0e}"


def filled(like: jax.ShapeDtypeStruct) -> jax.Array:
    """An array of this shape and dtype with something in it."""
    if is_key(like):
        return jax.random.key(3)
    return jnp.asarray(np.random.default_rng(0).uniform(0, 100, like.shape), like.dtype)


def test_orbax_restores_every_optimizer_s_state_in_the_other_library(tmp_path: Any) -> None:
    shapes = {
        name: {
            f"{i}": jax.eval_shape(case.make(module).init, params())
            for i, case in enumerate(SHARED)
            if all(x.size for x in jax.tree.leaves(jax.eval_shape(case.make().init, params())))
        }
        for name, module in (("optax", optax), ("gradchain", gc))
    }
    assert len(shapes["optax"]) > 0.6 * len(SHARED)  # Orbax saves no empty arrays
    states = {name: jax.tree.map(filled, shape) for name, shape in shapes.items()}
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        for name, other in (("optax", "gradchain"), ("gradchain", "optax")):
            checkpointer.save(tmp_path / name, states[name])
            checkpointer.wait_until_finished()
            restored = checkpointer.restore(tmp_path / name, shapes[other])
            assert jax.tree.structure(restored) == jax.tree.structure(shapes[other])
            check_close(restored, states[name], 0)
