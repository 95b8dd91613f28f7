"""Training: seven runs of one optimizer side by side, by one compiled program."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gradchain.core.types import Schedule
from gradchain.tools.eval_params import eval_params
from gradchain.tools.step import advance

from .contenders import Contender, factor
from .workloads import Workload

LANES = 7
"""Runs side by side: as many as there are rates, and as many as there are seeds."""

FAST_TO_COMPILE: dict[str, Any] = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_use_fusion_emitters": False,
}
"""A third of the time to compile, and programs as fast; times of steps are measured without them."""


class Run(NamedTuple):
    """One run: a learning rate, a weight decay, and the seed of first parameters and batches."""

    rate: float
    decay: float
    seed: int


class Outcome(NamedTuple):
    """What runs measured; the first axis is theirs."""

    curve: np.ndarray  # f32[runs, measurements], validation loss after every so many steps
    train: np.ndarray  # f32[runs, measurements], mean loss of the batches since the last measurement
    test_loss: np.ndarray  # f32[runs], in the end
    test_score: np.ndarray  # f32[runs], accuracy in the end


class Trainer:
    """A workload's data on the device, and its training."""

    def __init__(self, workload: Workload):
        self.workload = workload
        self.parts = workload.load(None)
        self.data = jax.device_put(tuple(map(tuple, self.parts)))

        inputs = jnp.asarray(self.parts.train.inputs[:1])
        init = lambda seed: workload.model.init(jax.random.key(seed), inputs)["params"]  # noqa: E731
        self.params = jax.jit(
            jax.vmap(init), compiler_options=FAST_TO_COMPILE
        )  # the first parameters of seeds

    def order(self, seed: int) -> np.ndarray:
        """The examples of each step: i32[measurements, every, batch]. No epoch is cut short."""
        w, rng = self.workload, np.random.default_rng(seed)
        need, n = w.steps * w.batch_size, len(self.parts.train)
        every = np.concatenate([rng.permutation(n) for _ in range(-(-need // n))])[:need]
        return every.reshape(w.steps // w.every, w.every, w.batch_size).astype(np.int32)

    def loss(self, params: Any, inputs: jax.Array, targets: jax.Array) -> jax.Array:
        """The mean loss of some examples."""
        return self.workload.loss(self.predict(params, inputs), targets).mean()

    def predict(self, params: Any, inputs: jax.Array) -> jax.Array:
        """The model's outputs."""
        return jnp.asarray(self.workload.model.apply({"params": params}, inputs))

    def optimizer(self, contender: Contender, rate: Any, decay: Any) -> Any:
        """A contender at the peak of its learning rate and a weight decay; both may be traced."""
        shape = factor(self.workload.steps, contender.scheduled)
        scaled: Schedule = lambda count: rate * shape(count)  # noqa: E731
        return contender.make(scaled, decay, self.workload)

    def step(self, tx: Any, params: Any, state: Any, inputs: jax.Array, targets: jax.Array) -> Any:
        """One training step; returns the new parameters, the new state, and the loss before it."""
        value_fn = lambda p: self.loss(p, inputs, targets)  # noqa: E731
        value, grad = jax.value_and_grad(value_fn)(params)
        return *advance(tx, value_fn, params, state, value, grad), value

    def program(self, contender: Contender) -> Any:
        """The compiled training of `LANES` runs."""

        def one(rate: jax.Array, decay: jax.Array, params: Any, order: jax.Array, data: Any) -> Any:
            tx = self.optimizer(contender, rate, decay)
            train, validation, test = data

            def batch(carry: Any, chosen: jax.Array) -> Any:
                *carry, value = self.step(tx, *carry, *(array[chosen] for array in train))
                return tuple(carry), value

            def round(carry: Any, orders: jax.Array) -> Any:
                carry, values = jax.lax.scan(batch, carry, orders)
                meant = eval_params(carry[1], carry[0])
                return carry, (self.loss(meant, *validation), values.mean())

            (params, state), (curve, values) = jax.lax.scan(round, (params, tx.init(params)), order)
            outputs = self.predict(eval_params(state, params), test[0])
            score = self.workload.score(outputs, test[1]).mean()
            return curve, values, self.workload.loss(outputs, test[1]).mean(), score

        numbers = jax.ShapeDtypeStruct((LANES,), jnp.float32)
        params = jax.eval_shape(self.params, np.zeros(LANES, np.uint32))
        w = self.workload
        orders = jax.ShapeDtypeStruct((LANES, w.steps // w.every, w.every, w.batch_size), jnp.int32)

        def lanes(rate: Any, decay: Any, params: Any, order: Any, data: Any) -> Any:
            if contender.side_by_side:
                return jax.vmap(one, (0, 0, 0, 0, None))(rate, decay, params, order, data)
            in_turn = (rate, decay, params, order)
            return jax.lax.map(lambda own: one(own[0], own[1], own[2], own[3], data), in_turn)

        return jax.jit(lanes).lower(numbers, numbers, params, orders, self.data).compile(FAST_TO_COMPILE)

    def run(self, program: Any, runs: Sequence[Run]) -> Outcome:
        """Trains; more runs than `LANES` go one group after another."""
        groups = [list(runs[i : i + LANES]) for i in range(0, len(runs), LANES)]
        outcomes = [self._group(program, group) for group in groups]
        return Outcome(*(np.concatenate(column) for column in zip(*outcomes, strict=True)))

    def _group(self, program: Any, group: list[Run]) -> Outcome:
        full = group + group[:1] * (LANES - len(group))  # the last ones are not kept
        rates, decays = (np.asarray(column, np.float32) for column in list(zip(*full, strict=True))[:2])
        params = self.params(np.asarray([run.seed for run in full], np.uint32))
        orders = np.stack([self.order(run.seed) for run in full])
        found = program(rates, decays, params, orders, self.data)
        return Outcome(*(np.asarray(array)[: len(group)] for array in found))
