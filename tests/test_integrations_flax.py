"""Flax's classes with whole steps: the same numbers as Flax's own, in all the ways they are used."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.linen.fp8_ops import OVERWRITE_WITH_GRADIENT
from flax.training import train_state
from trees import check_close, gradients, params, signature_of

import gradchain as gc
from gradchain.integrations.flax import Optimizer, TrainState

# name: the transformation, and whether its third gradient is not finite
TRANSFORMATIONS: dict[str, tuple[Any, bool]] = {
    "adamw": (gc.adamw(0.01, weight_decay=0.1), False),
    "momentum": (gc.sgd(0.1, momentum=0.9, nesterov=True), False),
    "clipped": (gc.chain(gc.clip_by_global_norm(0.5), gc.adam(0.01)), False),
    "schedule_free": (gc.contrib.schedule_free_sgd(0.1), False),
    "accumulated": (gc.accumulate_gradients(gc.adamw(0.01), 3), False),
    "if_finite": (gc.apply_if_finite(gc.adam(0.01), 5), True),
    "injected": (gc.inject_hyperparams(gc.adam)(gc.linear_schedule(0.1, 0.0, 5)), False),
    "optax.adam": (optax.adam(0.01), False),
    "optax.chain": (optax.chain(optax.clip_by_global_norm(0.5), gc.adamw(0.01)), False),
}
EACH = pytest.mark.parametrize("name", TRANSFORMATIONS)
STEPS = 7


@pytest.fixture(autouse=True)
def _as_optax_needs() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield


def gradient(name: str, like: Any, number: int) -> Any:
    g = gradients(like, number)
    broken = TRANSFORMATIONS[name][1] and number == 2
    return jax.tree.map(lambda x: x.at[...].set(jnp.nan), g) if broken else g


def bits(tree: Any) -> list[bytes]:
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


class TestTrainState:
    """`TrainState` beside Flax's."""

    def both(self, tx: Any, **kwargs: Any) -> tuple[Any, Any]:
        p = params()
        return tuple(
            cls.create(apply_fn=None, params=p, tx=tx, **kwargs)
            for cls in (TrainState, train_state.TrainState)
        )

    @EACH
    @pytest.mark.parametrize("compiled", [False, True])
    def test_is_flaxs_own(self, name: str, compiled: bool) -> None:
        ours, theirs = self.both(TRANSFORMATIONS[name][0])
        apply = lambda state, grads: state.apply_gradients(grads=grads)  # noqa: E731
        if compiled:
            ours = jax.tree.map(jnp.copy, ours)  # what is donated is gone
            apply = jax.jit(apply, donate_argnums=0)
            theirs = jax.tree.map(jnp.copy, theirs)
        for number in range(STEPS):
            grads = gradient(name, params(), number)
            ours, theirs = apply(ours, grads), apply(theirs, grads)
        assert type(ours) is TrainState
        assert ours.step == theirs.step == STEPS
        assert signature_of(ours.opt_state) == signature_of(theirs.opt_state)
        check_close(ours.params, theirs.params, 1e-6)
        check_close(ours.opt_state, theirs.opt_state, 1e-6)

    @EACH
    def test_bytes_round_trip(self, name: str) -> None:
        begun, _ = self.both(TRANSFORMATIONS[name][0])
        state = begun
        for number in range(2):
            state = state.apply_gradients(grads=gradient(name, params(), number))
        restored = flax.serialization.from_bytes(begun, flax.serialization.to_bytes(state))
        assert restored.step == 2
        assert bits((restored.params, restored.opt_state)) == bits((state.params, state.opt_state))
        assert type(restored.opt_state) is type(state.opt_state)

    def test_the_whole_step_is_taken_with_extra_arguments(self) -> None:
        def update(*args: Any, **kwargs: Any) -> Any:
            raise AssertionError("update was called")

        def whole(grads: Any, state: Any, params: Any, *, value: Any) -> Any:
            return jax.tree.map(lambda p: p * value, params), state + 1

        tx = gc.GradientTransformationExtraArgs(lambda params: 0, update, step=whole)
        state, _ = self.both(tx)
        after = state.apply_gradients(grads=params(), extra_args={"value": 2.0})
        check_close(after.params, jax.tree.map(lambda p: 2 * p, params()), 0)
        assert after.opt_state == after.step == 1

    @pytest.mark.parametrize("library", [gc, optax])
    def test_reduce_on_plateau_reads_the_loss(self, library: Any) -> None:
        plateau = library.contrib.reduce_on_plateau(factor=0.5, patience=2)
        state, _ = self.both(library.chain(library.sgd(0.1), plateau))
        for _ in range(4):
            state = state.apply_gradients(grads=params(), extra_args={"value": jnp.asarray(1.0)})
        assert state.opt_state[-1].scale == 0.5

    def test_one_that_reads_no_extra_arguments_gets_none(self) -> None:
        for tx in (gc.sgd(0.1), optax.sgd(0.1)):
            state, theirs = self.both(tx)
            after = state.apply_gradients(grads=params(), extra_args={"value": 1.0})
            check_close(after.params, theirs.apply_gradients(grads=params()).params, 1e-6)

    def test_further_fields_are_replaced(self) -> None:
        class WithStatistics(TrainState):
            statistics: Any = None

        state = WithStatistics.create(apply_fn=None, params=params(), tx=gc.sgd(0.1), statistics=1)
        after = state.apply_gradients(grads=params(), statistics=2)
        assert (state.statistics, after.statistics) == (1, 2)
        with pytest.raises(TypeError, match="value"):
            state.apply_gradients(grads=params(), value=2)

    def test_gradients_that_replace_their_parameters(self) -> None:
        name = OVERWRITE_WITH_GRADIENT
        p = {"params": params(), name: {"scale": jnp.ones(2)}}
        grads = {"params": gradients(params(), 0), name: {"scale": jnp.full(2, 5.0)}}
        ours, theirs = (
            cls.create(apply_fn=None, params=p, tx=gc.adam(0.1)).apply_gradients(grads=grads)
            for cls in (TrainState, train_state.TrainState)
        )
        np.testing.assert_array_equal(ours.params[name]["scale"], 5.0)
        check_close(ours.params, theirs.params, 1e-6)

    def test_parameters_of_one_array(self) -> None:
        state = TrainState.create(apply_fn=None, params=jnp.ones(3), tx=gc.sgd(0.5))
        np.testing.assert_array_equal(state.apply_gradients(grads=jnp.ones(3)).params, 0.5)

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
    def test_dtypes_are_kept(self, dtype: Any) -> None:
        state = TrainState.create(apply_fn=None, params=params(dtype), tx=gc.adamw(0.1))
        after = state.apply_gradients(grads=gradients(params(), 0))
        assert signature_of(after.params) == signature_of(state.params)
        assert signature_of(after.opt_state) == signature_of(state.opt_state)

    def test_steps_that_are_not_due_leave_the_parameters_as_they_are(self) -> None:
        for tx in (gc.accumulate_gradients(gc.adamw(0.01), 9), gc.apply_if_finite(gc.adam(0.01), 9)):
            state, _ = self.both(tx)
            before = bits(state.params)
            for number in range(3):
                state = state.apply_gradients(
                    grads=jax.tree.map(lambda x: x * jnp.nan, gradients(params(), number))
                )
            assert bits(state.params) == before


class Tiny(nnx.Module):
    """Two parameters, and a variable that is none."""

    def __init__(self, dtype: Any = jnp.float32) -> None:
        self.w = nnx.Param(params(dtype)["w"])
        self.b = nnx.Param(params(dtype)["deep"][0]["b"])
        self.seen = nnx.BatchStat(jnp.zeros(2, dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x @ self.w[...] + self.b[...][None]


def trainable(model: nnx.Module) -> Any:
    """Copies of a model's parameters."""
    return jax.tree.map(jnp.copy, nnx.to_pure_dict(nnx.state(model, nnx.Param)))


def grads_of(name: str, model: nnx.Module, number: int) -> Any:
    """Gradients as `nnx.grad` gives them."""
    return gradient(name, nnx.state(model, nnx.Param), number)


class TestOptimizer:
    """`Optimizer` beside Flax's."""

    @EACH
    @pytest.mark.parametrize("compiled", [False, True])
    def test_is_flaxs_own(self, name: str, compiled: bool) -> None:
        tx = TRANSFORMATIONS[name][0]
        update = lambda model, optimizer, grads: optimizer.update(model, grads) and None  # noqa: E731
        if compiled:
            update = nnx.jit(update, donate_argnums=(0, 1))
        results = []
        for cls in (Optimizer, nnx.Optimizer):
            model = Tiny()
            optimizer = cls(model, tx, wrt=nnx.Param)
            for number in range(STEPS):
                update(model, optimizer, grads_of(name, model, number))
            assert optimizer.step[...] == STEPS
            np.testing.assert_array_equal(model.seen[...], 0)
            results.append((trainable(model), nnx.to_pure_dict(nnx.state(optimizer))))
        (ours, our_state), (theirs, their_state) = results
        check_close(ours, theirs, 1e-6)
        assert signature_of(our_state) == signature_of(their_state)
        check_close(our_state, their_state, 1e-6)

    def test_trains_by_nnx_grad_and_survives_split_and_merge(self) -> None:
        model = Tiny()
        optimizer = Optimizer(model, gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(0.1)), wrt=nnx.Param)
        loss = lambda model: jnp.sum(model(jnp.ones((4, 3))) ** 2)  # noqa: E731

        @nnx.jit
        def step(model: Any, optimizer: Any) -> Any:
            value, grads = nnx.value_and_grad(loss)(model)
            optimizer.update(model, grads)
            return value

        first = step(model, optimizer)
        graphdef, state = nnx.split((model, optimizer))
        twin, other = nnx.merge(graphdef, jax.tree.map(jnp.copy, state))
        assert type(other) is Optimizer
        assert other.tx == optimizer.tx
        for _ in range(20):
            last, same = step(model, optimizer), step(twin, other)
        assert last == same < 0.1 * first
        assert other.step[...] == 21

    def test_the_whole_step_is_taken_with_extra_arguments(self) -> None:
        def update(*args: Any, **kwargs: Any) -> Any:
            raise AssertionError("update was called")

        def whole(grads: Any, state: Any, params: Any, *, value: Any) -> Any:
            return jax.tree.map(lambda p: p * value, params), [state[0] + 1]

        tx = gc.GradientTransformationExtraArgs(
            lambda params: [jnp.zeros((), jnp.int32)], update, step=whole
        )
        model = Tiny()
        before = trainable(model)
        optimizer = Optimizer(model, tx, wrt=nnx.Param)
        optimizer.update(model, nnx.state(model, nnx.Param), value=jnp.asarray(2.0))
        check_close(trainable(model), jax.tree.map(lambda p: 2 * p, before), 0)
        assert optimizer.opt_state[0][...] == optimizer.step[...] == 1

    def test_extra_arguments_go_to_those_that_read_them(self) -> None:
        for library in (gc, optax):
            model = Tiny()
            tx = library.chain(library.sgd(0.1), library.contrib.reduce_on_plateau(factor=0.5, patience=2))
            optimizer = Optimizer(model, tx, wrt=nnx.Param)
            for number in range(4):
                optimizer.update(model, grads_of("adamw", model, number), value=jnp.asarray(1.0))
            assert optimizer.opt_state[-1].scale[...] == 0.5
            plain = Optimizer(model, library.sgd(0.1), wrt=nnx.Param)
            plain.update(model, grads_of("adamw", model, 0), value=jnp.asarray(1.0))

    def test_only_what_wrt_names_is_trained(self) -> None:
        model = Tiny()
        before = trainable(model)
        only_b = nnx.All(nnx.Param, nnx.PathContains("b"))
        optimizer = Optimizer(model, gc.adam(0.1), wrt=only_b)
        grads = nnx.grad(lambda m: jnp.sum(m(jnp.ones((1, 3)))), argnums=nnx.DiffState(0, only_b))(model)
        optimizer.update(model, grads)
        after = trainable(model)
        assert bits(after["w"]) == bits(before["w"])
        assert bits(after["b"]) != bits(before["b"])

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
    def test_dtypes_are_kept(self, dtype: Any) -> None:
        model = Tiny(dtype)
        optimizer = Optimizer(model, gc.adamw(0.1), wrt=nnx.Param)
        before = signature_of(nnx.to_pure_dict(nnx.state((model, optimizer))))
        optimizer.update(model, grads_of("adamw", Tiny(), 0))
        assert signature_of(nnx.to_pure_dict(nnx.state((model, optimizer)))) == before

    def test_steps_that_are_not_due_leave_the_parameters_as_they_are(self) -> None:
        for tx in (gc.accumulate_gradients(gc.adamw(0.01), 9), gc.apply_if_finite(gc.adam(0.01), 9)):
            model = Tiny()
            optimizer = Optimizer(model, tx, wrt=nnx.Param)
            before = bits(trainable(model))
            for number in range(3):
                grads = jax.tree.map(lambda x: x * jnp.nan, grads_of("adamw", model, number))
                optimizer.update(model, grads)
            assert bits(trainable(model)) == before


def test_flax_is_imported_only_here_and_its_absence_is_explained() -> None:
    code = """
import sys
import gradchain, gradchain.integrations
assert not {"flax", "optax"} & {name.partition(".")[0] for name in sys.modules}
sys.modules["flax"] = None
try:
    import gradchain.integrations.flax
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expected = 'gradchain.integrations.flax needs Flax: install it with pip install "gradchain[flax]".\n'
    assert done.stdout == expected, done.stderr
