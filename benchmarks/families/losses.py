"""Losses, forwards and backwards: cross-entropy over many classes, CTC."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..harness import LIBRARIES, Figure, benchmark, bytes_accessed, in_turns, module, seconds

BATCH, CLASSES = 4096, 32768
"""The logits of a language model: 512 MB in float32, 256 MB in bfloat16."""


def measure(
    mean_loss: Callable[[Any, Any], Any],
    logits: Any,
    repeats: int,
    times: int = 1,
    most_bytes: float | None = None,
    most_temporary: float | None = None,
) -> list[Figure]:
    """One compiled value and gradient: seconds, bytes accessed, bytes kept beside logits and gradient.

    Both libraries share the logits, and no result outlives its turn.
    """
    actions = {}
    for library in LIBRARIES:
        losses = module(library).losses

        def loss(x: Any, losses: Any = losses) -> Any:
            return mean_loss(losses, x)

        compiled = jax.jit(jax.value_and_grad(loss)).lower(logits).compile()

        def act(compiled: Any = compiled) -> Any:
            return {
                "step": seconds(lambda: compiled(logits), times),
                "bytes accessed": bytes_accessed(compiled),
                "temporary bytes": float(compiled.memory_analysis().temp_size_in_bytes),
            }

        act()
        actions[library] = act
    samples = in_turns(actions, repeats)
    return [
        Figure("step", "s", samples["step"], most_ratio=1.0),
        Figure("bytes accessed", "bytes", samples["bytes accessed"], most_bytes),
        Figure("temporary bytes", "bytes", samples["temporary bytes"], most=most_temporary),
    ]


def cross_entropy(dtype: Any, repeats: int) -> list[Figure]:
    """The mean over the batch; a second copy of the logits would be more than a tenth of them."""
    random = np.random.default_rng(0)
    logits = jax.random.normal(jax.random.key(0), (BATCH, CLASSES), dtype)
    labels = jnp.asarray(random.integers(0, CLASSES, BATCH), jnp.int32)

    def mean_loss(losses: Any, x: Any) -> Any:
        each = losses.softmax_cross_entropy_with_integer_labels(x, labels)
        return jnp.mean(each.astype(jnp.float32))

    return measure(mean_loss, logits, repeats, 3, most_bytes=1.0, most_temporary=0.1 * logits.nbytes)


@benchmark("losses/cross_entropy_float32", "cross-entropy of 4096x32768 float32 logits, integer labels")
def cross_entropy_float32(repeats: int) -> list[Figure]:
    """Forwards and backwards."""
    return cross_entropy(jnp.float32, repeats)


@benchmark("losses/cross_entropy_bfloat16", "cross-entropy of 4096x32768 bfloat16 logits, integer labels")
def cross_entropy_bfloat16(repeats: int) -> list[Figure]:
    """Forwards and backwards."""
    return cross_entropy(jnp.bfloat16, repeats)


@benchmark("losses/ctc", "CTC of 16 inputs of up to 128 frames, 64 classes, up to 32 labels")
def ctc(repeats: int) -> list[Figure]:
    """Forwards and backwards."""
    random = np.random.default_rng(0)
    logits = jnp.asarray(random.normal(size=(16, 128, 64)), jnp.float32)
    labels = jnp.asarray(random.integers(1, 64, (16, 32)), jnp.int32)
    frames = jnp.asarray(np.arange(128) >= random.integers(84, 129, (16, 1)), jnp.float32)
    padding = jnp.asarray(np.arange(32) >= random.integers(1, 33, (16, 1)), jnp.float32)

    def mean_loss(losses: Any, x: Any) -> Any:
        return jnp.mean(losses.ctc_loss(x, frames, labels, padding))

    return measure(mean_loss, logits, repeats, times=20)
