"""Training on eight simulated devices: what each sends at a step, and what it learns meanwhile."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

import gradchain as gc
from gradchain.compare.tasks import find, load

from .trees import abstract, gpt2

DEVICES, AXIS, STEPS, BATCH = 8, "data", 300, 16
PLAIN = "data parallel"


class Recipe(NamedTuple):
    """A way to train on several devices."""

    around: Callable[[Any], Any]  # from an optimizer of each device's own gradients
    tx: Any  # what it is for the digits
    every: int = 1  # steps between two exchanges


def mean() -> Any:
    """The mean of the devices' gradients."""
    return gc.stateless(lambda g, p: jax.lax.pmean(g, AXIS))


def _before(link: Any) -> Callable[[Any], Any]:
    return lambda tx: gc.chain(link, tx)


def _low_rank(rank: int, **more: Any) -> Recipe:
    around = _before(gc.power_sgd(rank, **more))
    return Recipe(around, around(SGD))


def _signs(rate: Any, **more: Any) -> Recipe:
    link = gc.sign_majority_vote(**more)
    return Recipe(_before(link), gc.chain(gc.trace(0.9), link, gc.scale_by_learning_rate(rate)))


def _rounds(every: int) -> Recipe:
    def around(tx: Any) -> Any:
        return gc.diloco(tx, gc.sgd(0.7, momentum=0.9, nesterov=True), every)

    return Recipe(around, around(gc.sgd(0.3)), every)


SGD = gc.sgd(0.1, momentum=0.9)
RECIPES = {
    PLAIN: Recipe(_before(mean()), gc.chain(mean(), SGD)),
    "power_sgd, rank 4": _low_rank(4),
    "power_sgd, rank 32": _low_rank(32),
    "power_sgd, rank 1": _low_rank(1),
    "power_sgd, rank 1, errors forgotten": _low_rank(1, error_feedback=False),
    "sign_majority_vote": _signs(gc.linear_schedule(0.01, 0.0, STEPS)),
    "sign_majority_vote, errors kept": _signs(0.1, error_feedback=True),
    "diloco, every 10": _rounds(10),
    "diloco, every 50": _rounds(50),
    "diloco, every 500": _rounds(500),
    "no exchange": Recipe(lambda tx: tx, SGD),
}


def mesh() -> Mesh:
    """The devices. Raises RuntimeError if there are less."""
    if jax.device_count() < DEVICES:
        raise RuntimeError(f"communication: expected {DEVICES} devices, found {jax.device_count()}.")
    return Mesh(np.array(jax.devices()[:DEVICES]), (AXIS,))


def each_own(f: Callable[..., Any]) -> Any:
    """`f` on every device, with its own arrays: all it gets and gives has an axis of devices in front."""

    def own(*args: Any) -> Any:
        return jax.tree.map(lambda x: x[None], f(*jax.tree.map(lambda x: x[0], args)))

    spec = PartitionSpec(AXIS)
    return jax.jit(jax.shard_map(own, mesh=mesh(), in_specs=spec, out_specs=spec))


def on_each(tree: Any) -> Any:
    """The same arrays for all devices."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (DEVICES, *x.shape)), tree)


def exchanges(recipe: str, shapes: Any) -> list[gc.Collective]:
    """What a step of a recipe around AdamW exchanges, for parameters of these shapes."""
    tx = RECIPES[recipe].around(gc.adamw(1e-3))
    params = abstract(shapes)
    state = jax.eval_shape(tx.init, params)
    given = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((DEVICES, *x.shape), x.dtype), (params, state, params)
    )
    return gc.collectives(each_own(tx.step).lower(*given).compile())


def gpt2_sent(recipe: str) -> float:
    """The bytes that each device sends at such a step of GPT-2 small."""
    return gc.bytes_sent(exchanges(recipe, gpt2()), RECIPES[recipe].every)


@functools.cache
def _digits() -> Any:
    """The task, the data of the devices (each its own), and the test's."""
    task = find("digits")
    data = load(task, None)
    each = len(data.train[0]) // DEVICES
    train = [x[: each * DEVICES].reshape(DEVICES, each, *x.shape[1:]) for x in map(jnp.asarray, data.train)]
    return task, train, [jnp.asarray(x) for x in data.test]


def accuracy(recipe: str, seed: int) -> float:
    """The accuracy on the digits' test after training: the mean over devices where they differ."""
    task, (inputs, targets), (test_inputs, test_targets) = _digits()
    tx = RECIPES[recipe].tx

    def loss(params: Any, inputs: Any, targets: Any) -> Any:
        return jnp.mean(task.loss(task.model.apply(params, inputs), targets))

    def train(params: Any, inputs: Any, targets: Any, key: Any) -> Any:
        def step(carry: Any, key: Any) -> Any:
            params, state = carry
            batch = jax.random.randint(key, (BATCH,), 0, len(inputs))
            grads = jax.grad(loss)(params, inputs[batch], targets[batch])
            return tx.step(grads, state, params), None

        carry, _ = jax.lax.scan(step, (params, tx.init(params)), jax.random.split(key, STEPS))
        return task.score(task.model.apply(carry[0], test_inputs), test_targets).mean()

    first, *keys = jax.random.split(jax.random.key(seed), 1 + DEVICES)
    params = task.model.init(first, inputs[0, :1])
    return float(jnp.mean(each_own(train)(on_each(params), inputs, targets, jnp.stack(keys))))
