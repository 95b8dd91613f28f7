"""A run of 100,000 steps takes no more memory, and no more programs, at its end than at its beginning."""

import gc as garbage
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradchain as gc

STEPS, ROUNDS = 10_000, 10
PAGE = 4096  # bytes; /proc counts pages


def resident() -> int:
    """The bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def held() -> tuple[int, int, int]:
    """How many arrays there are, their bytes, and the bytes in memory."""
    garbage.collect()
    arrays = jax.live_arrays()
    return len(arrays), sum(x.nbytes for x in arrays), resident()


def wrapped() -> gc.GradientTransformation:
    """Wrappers in wrappers, each with a conditional, a count or a copy of its own."""
    rate = gc.warmup_cosine_decay_schedule(0.0, 0.05, 100, STEPS * ROUNDS // 2, 0.001)
    inner = gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(rate, weight_decay=1e-3))
    safe = gc.apply_if_finite(gc.inject_hyperparams(gc.sgd)(rate), 3)
    around = gc.partition({"a": inner, "b": safe}, {"w": "a", "b": "b"})
    return gc.with_master_weights(gc.accumulate_gradients(gc.chain(gc.skip_outliers(around)), 2))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory in use is read from /proc")
def test_a_hundred_thousand_steps_of_wrappers_keep_memory_and_programs() -> None:
    tx = wrapped()
    params = {"w": jnp.ones((4, 2), jnp.bfloat16), "b": jnp.ones(3)}

    def loss(p, key):
        noise = jax.random.normal(key, (3,))
        return jnp.sum((p["w"].astype(jnp.float32) - 0.25) ** 2) + jnp.sum((p["b"] + 0.1 * noise) ** 2)

    def step(carry, key):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, key)
        return tx.step(grads, state, params, value=value), value

    @jax.jit
    def several(carry, key):
        return jax.lax.scan(step, carry, jax.random.split(key, STEPS))

    carry, seen = (params, tx.init(params)), []
    for i in range(ROUNDS):
        carry, losses = several(carry, jax.random.key(i))
        last = float(losses[-1])
        del losses
        seen.append(held())
    numbers, sizes, memory = zip(*seen, strict=True)
    assert len(set(numbers[1:])) == 1
    assert len(set(sizes[1:])) == 1
    assert memory[-1] - memory[1] < 2**21, memory
    assert several._cache_size() == 1
    assert last < 0.2
    assert all(np.all(np.isfinite(x.astype(jnp.float32))) for x in jax.tree.leaves(carry[0]))
