"""Training: all seeds and all learning rates of one optimizer in one compiled program."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..tools.step import advance
from .contenders import Contender
from .data import Data, Split
from .tasks import Task

MOST_TRAINING_EXAMPLES_MEASURED = 5_000
EXAMPLES_AT_ONCE = 256
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class History:
    """What the runs of one optimizer recorded. The axes are step or epoch, learning rate, seed."""

    contender: Contender
    rates: tuple[float | None, ...]
    step_loss: np.ndarray  # f32[steps, rates, seeds], of the batch, before its update
    loss: np.ndarray  # f32[epochs + 1, splits, rates, seeds]; the first is from before training
    score: np.ndarray  # the same of the task's score (accuracy); zeros if it has none
    steps_per_epoch: int
    seconds_per_step: float  # of one run, without compilation
    compile_seconds: float
    state_bytes: int  # of one run
    params: Any  # final, with axes rates, seeds


@dataclasses.dataclass
class Program:
    """The two functions that are compiled for a contender."""

    start: Any  # from the learning rates to the first parameters and states
    epoch: Any  # one pass over the data
    seconds: float = 0.0  # spent on tracing it so far


class Trainer:
    """One task's data, first parameters and batches: the same for every contender."""

    def __init__(self, task: Task, data: Data, *, batch_size: int, epochs: int, seeds: int):
        self.task, self.data = task, data
        self.batch_size, self.epochs, self.seeds = batch_size, epochs, seeds
        self.steps_per_epoch = len(data.train) // batch_size
        measured = Split(*(a[:MOST_TRAINING_EXAMPLES_MEASURED] for a in data.train))
        self.splits = [jax.device_put(tuple(s)) for s in (measured, data.validation, data.test)]
        self.train = jax.device_put(tuple(data.train))
        keys = jax.vmap(jax.random.key)(jnp.arange(seeds, dtype=jnp.uint32))
        init = jax.vmap(lambda key: task.model.init(key, self.train[0][:1])["params"])
        self.params = jax.jit(init)(keys)
        self.measure = jax.jit(self._measure)  # the same program for every contender
        self.checked: dict[Contender, Program] = {}  # traced, not yet run

    @property
    def parameters(self) -> int:
        """How many parameters the model has."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params)) // self.seeds

    def order(self, epoch: int) -> np.ndarray:
        """The examples of each batch of an epoch: i32[steps, seeds, batch].

        Each seed has its own order. An epoch leaves out what remains after the last whole batch.
        """
        used = self.steps_per_epoch * self.batch_size
        orders = [
            np.random.default_rng((seed, epoch)).permutation(len(self.data.train))[:used]
            for seed in range(self.seeds)
        ]
        batches = np.stack(orders, 1).reshape(self.steps_per_epoch, self.batch_size, self.seeds)
        return batches.transpose(0, 2, 1).astype(np.int32)

    def loss(self, params: Any, inputs: jax.Array, targets: jax.Array) -> jax.Array:
        """The mean loss of a batch."""
        return self.task.loss(self.predict(params, inputs), targets).mean()

    def predict(self, params: Any, inputs: jax.Array) -> jax.Array:
        """The model's outputs for a batch."""
        return jnp.asarray(self.task.model.apply({"params": params}, inputs))

    def step(
        self, contender: Contender, rate: Any, carry: Any, inputs: jax.Array, targets: jax.Array
    ) -> tuple[Any, jax.Array]:
        """One step of one run: new parameters and state, and the batch's loss before it."""
        params, state = carry
        value_fn = lambda p: self.loss(p, inputs, targets)  # noqa: E731
        value, grad = jax.value_and_grad(value_fn)(params)
        new_params, state = advance(contender.at(rate), value_fn, params, state, value, grad)
        return (new_params, state), value

    def check(self, contender: Contender) -> None:
        """Traces a contender's program without compiling or running it.

        Raises: what `run` would raise while it traces, so whatever the optimizer itself raises.
        """
        began = time.perf_counter()
        program = self._program(contender)
        values = _values(contender.rates)
        carry = program.start.eval_shape(values)
        program.epoch.eval_shape(carry, self.order(0), values, *self.train)
        program.seconds += time.perf_counter() - began
        self.checked[contender] = program  # `run` need not trace it again

    def run(
        self, contender: Contender, on_progress: Callable[[str, int], None] = lambda what, epochs: None
    ) -> History:
        """Trains a contender with every learning rate and seed.

        Args:
          contender: the optimizer and its learning rates.
          on_progress: called with what happens now, and with how many epochs have just been finished.
        """
        rates = contender.rates or (None,)
        on_progress("compiling", 0)
        began = time.perf_counter()
        program = self.checked.pop(contender, None) or self._program(contender)
        values = _values(contender.rates)
        carry = program.start(values)
        arguments = (values, *self.train)
        train_epoch = program.epoch.lower(carry, self.order(0), *arguments).compile()
        compile_seconds = program.seconds + time.perf_counter() - began

        losses, seconds, measures = [], [], [self._measured(carry[0])]
        for number in range(self.epochs):
            order = jax.device_put(self.order(number))
            began = time.perf_counter()
            carry, loss = train_epoch(carry, order, *arguments)
            losses.append(np.asarray(loss))  # waits for the result
            seconds.append(time.perf_counter() - began)
            measures.append(self._measured(carry[0]))
            on_progress(f"epoch {number + 1} of {self.epochs}", 1)
        runs = len(rates) * self.seeds
        leaves = jax.tree.leaves(carry[1])
        return History(
            contender,
            rates,
            np.concatenate(losses),
            np.stack([loss for loss, _ in measures]),
            np.stack([score for _, score in measures]),
            self.steps_per_epoch,
            float(np.median(seconds)) / self.steps_per_epoch / runs,
            compile_seconds,
            sum(leaf.nbytes for leaf in leaves) // runs,
            jax.tree.map(np.asarray, carry[0]),
        )

    def _program(self, contender: Contender) -> "Program":
        """All runs of a contender side by side: an axis for learning rates, then one for seeds."""

        def start(rates: jax.Array) -> Any:
            def first(rate: Any, params: Any) -> Any:
                return params, contender.at(rate).init(params)

            return jax.vmap(jax.vmap(first, (None, 0)), (0, None))(rates, self.params)

        def epoch(carry: Any, order: jax.Array, rates: jax.Array, inputs: Any, targets: Any) -> Any:
            def batch(carry: Any, chosen: jax.Array) -> Any:
                return step(contender, rates, carry, inputs[chosen], targets[chosen])

            return jax.lax.scan(batch, carry, order)

        step = jax.vmap(jax.vmap(self.step, (None, None, 0, 0, 0)), (None, 0, 0, None, None))
        return Program(jax.jit(start), jax.jit(epoch, donate_argnums=0))

    def _measured(self, params: Any) -> tuple[np.ndarray, np.ndarray]:
        loss, score = self.measure(params, self.splits)
        return np.asarray(loss), np.asarray(score)

    def _measure(self, params: Any, splits: Any) -> tuple[jax.Array, jax.Array]:
        """Loss and score on each part of the data: f32[splits, rates, seeds] each."""
        every_run = jax.vmap(jax.vmap(self._measure_split, (0, None, None)), (0, None, None))
        pairs = [every_run(params, *split) for split in splits]
        return jnp.stack([loss for loss, _ in pairs]), jnp.stack([score for _, score in pairs])

    def _measure_split(
        self, params: Any, inputs: jax.Array, targets: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        score = self.task.score or (lambda predictions, targets: jnp.zeros(targets.shape))

        def example(pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            predictions = self.predict(params, pair[0][None])
            target = pair[1][None]
            return self.task.loss(predictions, target)[0], score(predictions, target)[0]

        # In pieces: for every run of a sweep, a whole test set at once would need gigabytes.
        loss, scored = jax.lax.map(example, (inputs, targets), batch_size=EXAMPLES_AT_ONCE)
        return loss.mean(), scored.mean()


def _values(rates: tuple[float, ...] | None) -> jax.Array:
    """The learning rates as an array; a single 0, which nobody reads, for an optimizer's own."""
    return jnp.asarray(rates or [0.0], jnp.float32)
