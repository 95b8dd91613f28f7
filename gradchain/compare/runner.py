"""Training: all seeds and all learning rates of one optimizer in one compiled program."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import GradientTransformation
from ..tools.eval_params import eval_params
from ..tools.step import advance
from ..tools.xla_flags import MULTI_OUTPUT_FUSION
from .contenders import Contender
from .data import Data, Split
from .measuring import Measurement
from .tasks import Task

MOST_TRAINING_EXAMPLES_MEASURED = 1_200
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class History:
    """What the runs of one optimizer recorded. The axes are step or round, learning rate, seed."""

    contender: Contender
    rates: tuple[float | None, ...]
    step_loss: np.ndarray  # f32[steps, rates, seeds], of the batch, before its update
    test_loss: np.ndarray  # f32[rounds + 1, rates, seeds]; the first is from before training
    test_score: np.ndarray  # the same of the task's score (accuracy); zeros if it has none
    loss: np.ndarray  # f32[splits, rates, seeds], after training
    score: np.ndarray  # the same
    steps_per_round: int
    seconds_per_step: float  # of one run, without compilation
    compile_seconds: float
    state_bytes: int  # of one run
    params: Any  # final, those to be evaluated, with axes rates, seeds


@dataclasses.dataclass
class Program:
    """The two functions that are compiled for a contender."""

    start: Any  # from the learning rates to the first parameters and states
    round: Any  # the steps from one measurement to the next
    seconds: float = 0.0  # spent on tracing it so far


class Trainer:
    """One task's data, first parameters and batches: the same for every contender."""

    def __init__(self, task: Task, data: Data, *, batch_size: int, epochs: int, seeds: int):
        self.task, self.data = task, data
        self.batch_size, self.epochs, self.seeds = batch_size, epochs, seeds
        steps = len(data.train) // batch_size
        self.rounds_per_epoch = min(task.rounds, steps)
        self.steps_per_round = steps // self.rounds_per_epoch
        self.train = jax.device_put(tuple(data.train))
        keys = jax.vmap(jax.random.key)(jnp.arange(seeds, dtype=jnp.uint32))
        init = jax.vmap(lambda key: task.model.init(key, self.train[0][:1])["params"])
        self.params = jax.jit(init)(keys)
        measured = Split(*(a[:MOST_TRAINING_EXAMPLES_MEASURED] for a in data.train))
        self.measurement = Measurement(task, self.predict, (measured, data.validation, data.test))
        self.checked: dict[Contender, Program] = {}  # traced, not yet run

    @property
    def parameters(self) -> int:
        """How many parameters the model has."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params)) // self.seeds

    @property
    def steps_per_epoch(self) -> int:
        """How many batches of an epoch are used: the same number between any two measurements."""
        return self.rounds_per_epoch * self.steps_per_round

    @property
    def steps(self) -> int:
        """How many steps a run takes."""
        return self.epochs * self.steps_per_epoch

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
        self,
        contender: Contender,
        tx: GradientTransformation,
        carry: Any,
        inputs: jax.Array,
        targets: jax.Array,
    ) -> tuple[Any, jax.Array]:
        """One step of one run: new parameters and state, and the batch's loss before it."""
        params, state = carry
        value_fn = lambda p: self.loss(p, inputs, targets)  # noqa: E731
        if contender.per_example:
            one = lambda p, x, y: self.loss(p, x[None], y[None])  # noqa: E731
            values, grad = jax.vmap(jax.value_and_grad(one), (None, 0, 0))(params, inputs, targets)
            value = values.mean()
        else:
            value, grad = jax.value_and_grad(value_fn)(params)
        return advance(tx, value_fn, params, state, value, grad), value

    def check(self, contender: Contender) -> None:
        """Traces a contender's program without compiling or running it.

        Raises: what `run` would raise while it traces, so whatever the optimizer itself raises.
        """
        began = time.perf_counter()
        program = self._program(contender)
        values = _values(contender.tried)
        carry = program.start.eval_shape(values)
        program.round.eval_shape(carry, self.order(0)[: self.steps_per_round], values, *self.train)
        program.seconds += time.perf_counter() - began
        self.checked[contender] = program  # `run` need not trace it again

    def run(
        self, contender: Contender, on_progress: Callable[[str, int], None] = lambda what, steps: None
    ) -> History:
        """Trains a contender with every learning rate and seed.

        Args:
          contender: the optimizer and its learning rates.
          on_progress: called with what happens now, and with how many steps have just been taken.
        """
        on_progress("compiling", 0)
        began = time.perf_counter()
        program = self.checked.pop(contender, None) or self._program(contender)
        values = _values(contender.tried)
        carry = program.start(values)
        arguments = (values, *self.train)
        order = self.order(0)[: self.steps_per_round]
        train_round = program.round.lower(carry, order, *arguments).compile(compiler_options(contender))
        compile_seconds = program.seconds + time.perf_counter() - began

        on_progress("training", 0)
        evaluated = carry[0]  # before the first step, the parameters to evaluate are those in training
        losses, seconds, curve = [], [], [self.measurement.test(evaluated)]
        for epoch in range(self.epochs):
            for order in np.split(self.order(epoch), self.rounds_per_epoch):
                began = time.perf_counter()
                carry, loss, evaluated = train_round(carry, order, *arguments)
                losses.append(np.moveaxis(np.asarray(loss), -1, 0))  # waits for the result
                seconds.append(time.perf_counter() - began)
                curve.append(self.measurement.test(evaluated))
                on_progress(f"epoch {epoch + 1} of {self.epochs}", self.steps_per_round)
        runs = len(contender.tried) * self.seeds
        loss, score = self.measurement.all(evaluated)
        return History(
            contender,
            contender.tried,
            np.concatenate(losses),
            np.stack([loss for loss, _ in curve]),
            np.stack([score for _, score in curve]),
            loss,
            score,
            self.steps_per_round,
            float(np.median(seconds)) / self.steps_per_round / runs,
            compile_seconds,
            sum(leaf.nbytes for leaf in jax.tree.leaves(carry[1])) // runs,
            jax.tree.map(np.asarray, evaluated),
        )

    def _program(self, contender: Contender) -> Program:
        """All runs of a contender side by side: an axis for learning rates, then one for seeds."""

        def start(tx: GradientTransformation, params: Any) -> Any:
            return params, tx.init(params)

        def round(
            tx: GradientTransformation, carry: Any, order: jax.Array, inputs: Any, targets: Any
        ) -> Any:
            def batch(carry: Any, chosen: jax.Array) -> Any:
                return self.step(contender, tx, carry, inputs[chosen], targets[chosen])

            carry, losses = jax.lax.scan(batch, carry, order)
            params, state = carry
            return carry, losses, eval_params(state, params)

        def begin(rates: jax.Array) -> Any:
            return _every_run(contender, start, rates, (self.params,), (None,), (0,))

        def train(carry: Any, order: jax.Array, rates: jax.Array, *data: Any) -> Any:
            by_rate, by_seed = (0, None, None, None), (0, 1, None, None)
            return _every_run(contender, round, rates, (carry, order, *data), by_rate, by_seed)

        return Program(jax.jit(begin), jax.jit(train, donate_argnums=0))


def _every_run(
    contender: Contender,
    train: Callable[..., Any],
    rates: jax.Array,
    arguments: Sequence[Any],
    by_rate: Sequence[int | None],
    by_seed: Sequence[int | None],
) -> Any:
    """`train(tx, *arguments)` for every learning rate and every seed, as one program.

    Args: by_rate, by_seed, which axis of each argument is theirs; None, where it has none.
    """

    def one(rate: jax.Array, *arguments: Any) -> Any:
        return train(contender.at(rate), *arguments)

    return jax.vmap(jax.vmap(one, (None, *by_seed)), (0, *by_rate))(rates, *arguments)


def compiler_options(contender: Contender) -> dict[str, bool | str] | None:
    """XLA's options for a contender's program.

    XLA ends the process when it joins the loops of a line search under `vmap`.
    """
    joined = MULTI_OUTPUT_FUSION in os.environ.get("XLA_FLAGS", "")
    return {"xla_backend_extra_options": ""} if joined and contender.searches else None


def _values(rates: tuple[float | None, ...]) -> jax.Array:
    """The learning rates as an array; a single 0, which nobody reads, for an optimizer's own."""
    return jnp.asarray([rate or 0.0 for rate in rates], jnp.float32)
