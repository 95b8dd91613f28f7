"""The record chain: what the nanoGPT optimization track stacks up, as one chain that people can read.

It trains the transformer of `gradchain compare characters`, a little larger, better than AdamW at its best
of 24 settings, in the same number of steps.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gradchain as gc
from gradchain.compare import corpus, models, tasks

STEPS, BATCH = 300, 16


def cool(rate: Any) -> Any:
    return gc.powercool_schedule(rate, STEPS, transition_begin=STEPS // 4)


def cosine(rate: Any) -> Any:
    return gc.warmup_cosine_decay_schedule(0.0, rate, STEPS // 10, STEPS)


def record(rate: Any) -> Any:
    """Muon with NorMuon's scaling on spheres, Adam with cautious decay for the rest, and a tail average."""
    direction = gc.chain(
        gc.scale_by_muon("polar_express", beta=gc.beta_schedule(0.85, 0.95, STEPS // 10), debias=False),
        gc.scale_by_normuon(),
        gc.scale(-1.0),
    )
    rest = gc.chain(
        gc.scale_by_adam(b1=0.9, b2=0.95), gc.add_cautious_decay(0.1), gc.scale_by_learning_rate(cool(0.02))
    )
    return gc.chain(
        gc.groups({".*/kernel": gc.hyperball(direction, cool(rate))}, default=rest),
        gc.tail_ema_params(start_step=3 * STEPS // 4, time_constant=STEPS / 20),
    )


def adamw(schedule: Callable[[Any], Any], rate: Any, weight_decay: Any) -> Any:
    return gc.adamw(schedule(rate), b2=0.95, weight_decay=weight_decay, mask=gc.decay_matrices_only)


YARDSTICKS = [functools.partial(adamw, schedule) for schedule in (cosine, cool)]
RATES, DECAYS = (3e-3, 6e-3, 0.01, 0.015, 0.02, 0.03), (0.0, 0.1)


def test_the_record_chain_trains_better_than_tuned_adamw() -> None:
    data = corpus.characters(None)
    model = models.Transformer(len(corpus.ALPHABET), width=32, layers=2, heads=2)
    start = model.init(jax.random.key(0), jnp.asarray(data.train.inputs[:1]))["params"]
    order = np.random.default_rng(0).permutation(len(data.train))[: STEPS * BATCH].reshape(STEPS, BATCH)
    batches = jnp.asarray(data.train.inputs[order]), jnp.asarray(data.train.targets[order])
    held_out = jnp.asarray(data.validation.inputs), jnp.asarray(data.validation.targets)

    def loss(p: Any, inputs: Any, targets: Any) -> Any:
        return tasks.next_entropy(model.apply({"params": p}, inputs), targets).mean()

    @functools.partial(jax.jit, static_argnums=0)
    def trained(make: Callable[..., Any], *numbers: Any) -> Any:
        """The loss on held-out text after one pass."""
        tx = make(*numbers)

        def step(carry: Any, batch: Any) -> Any:
            p, state = carry
            return tx.step(jax.grad(loss)(p, *batch), state, p), None

        (p, state), _ = jax.lax.scan(step, (start, tx.init(start)), batches)
        return loss(gc.eval_params(state, p), *held_out)

    best = min(float(trained(make, r, d)) for make in YARDSTICKS for r in RATES for d in DECAYS)
    ours = float(trained(record, 0.04))
    assert ours < best - 0.05
    assert 2.0 < ours < 2.4  # a broken yardstick would be easy to beat
    assert best < 2.6
