"""Training: all seeds and all learning rates of one optimizer in one compiled program."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gradchain as gc

from ..core import GradientTransformation
from ..tools.eval_params import eval_params
from ..tools.memory import memory
from ..tools.step import advance
from ..tree.paths import paths
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
        self.orders = jax.device_put(self._orders())

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
        """Traces a contender's training without compiling or running it.

        Raises: what `run` would raise while it traces, so whatever the optimizer itself raises.
        """
        numbers = jax.ShapeDtypeStruct((), jnp.float32)
        train = self._train_of(contender)
        jax.eval_shape(lambda rate, *args: train(contender.at(rate), *args), numbers, *self._args)

    def run(
        self, contender: Contender, on_progress: Callable[[str, int], None] = lambda what, steps: None
    ) -> History:
        """Trains a contender with every learning rate and seed.

        Args:
          contender: the optimizer and its learning rates.
          on_progress: called with what happens now, and with how many steps have just been taken.
        """
        on_progress("training", 0)
        rates = [0.0 if rate is None else rate for rate in contender.tried]  # nobody reads the 0
        swept = gc.sweep(
            self._train_of(contender),
            lambda rate: contender.at(rate),
            {"rate": rates},
            args=self._args,
            chunk=len(rates),
            progress=False,
        )
        on_progress("measuring", self.steps)
        visited = self._visited(swept)
        curve = [self.measurement.test(params) for params in visited]
        loss, score = self.measurement.all(visited[-1])
        return History(
            contender,
            contender.tried,
            np.moveaxis(swept["step_loss"], -1, 0),
            np.stack([loss for loss, _ in curve]),
            np.stack([score for _, score in curve]),
            loss,
            score,
            self.steps_per_round,
            swept.seconds / self.steps / (len(rates) * self.seeds),
            swept.compile_seconds,
            self._state_bytes(contender),
            visited[-1],
        )

    @property
    def _args(self) -> tuple[Any, ...]:
        """What every run is given: where each seed begins, its batches, and the examples."""
        return self.params, self.orders, self.train

    def _train_of(self, contender: Contender) -> Callable[..., Any]:
        """The training of all seeds, for `gc.sweep`."""

        def train(tx: GradientTransformation, params: Any, orders: jax.Array, examples: Any) -> Any:
            one_seed = functools.partial(self._train_one, contender, tx)
            return jax.vmap(one_seed, (0, 2, None))(params, orders, examples)

        return train

    def _train_one(
        self,
        contender: Contender,
        tx: GradientTransformation,
        params: Any,
        orders: jax.Array,
        examples: Any,
    ) -> dict[str, Any]:
        """One run: the loss of each batch, and the parameters to evaluate after each round."""

        def batch(carry: Any, chosen: jax.Array) -> Any:
            return self.step(contender, tx, carry, *(array[chosen] for array in examples))

        def round(carry: Any, order: jax.Array) -> Any:
            carry, losses = jax.lax.scan(batch, carry, order)
            params, state = carry
            return carry, (losses, eval_params(state, params))

        _, (losses, visited) = jax.lax.scan(round, (params, tx.init(params)), orders)
        return {"step_loss": losses.reshape(-1), "visited": visited}

    def _orders(self) -> np.ndarray:
        """The examples of each batch of the whole training: i32[rounds, steps, seeds, batch]."""
        every = np.concatenate([self.order(epoch) for epoch in range(self.epochs)])
        return every.reshape(-1, self.steps_per_round, *every.shape[1:])

    def _visited(self, swept: Mapping[str, np.ndarray]) -> list[Any]:
        """The parameters of every run, first and after each round, with axes rates, seeds."""
        runs = len(swept["rate"])
        leaves, treedef = jax.tree.flatten(self.params)
        names = jax.tree.leaves(paths({"visited": self.params}))
        later = [np.moveaxis(swept[name], 2, 0) for name in names]  # rounds first
        first = [np.broadcast_to(leaf, (runs, *leaf.shape)) for leaf in leaves]
        return [treedef.unflatten(first), *(treedef.unflatten(row) for row in zip(*later, strict=True))]

    def _state_bytes(self, contender: Contender) -> int:
        """What the state of one run takes."""
        one = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape[1:], p.dtype), self.params)
        return memory(contender.at(contender.tried[0] or 0.1), one).total
