"""A user's program: it runs with the wheel alone, and type checkers agree with every `assert_type`.

mypy and pyright must also see each mistake that is marked: an unused `ignore` is an error.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false

from typing import Any, NamedTuple, assert_type

import jax
import jax.numpy as jnp

import gradchain as gc

Params = dict[str, jax.Array]


class SignMomentumState(NamedTuple):
    """State of `scale_by_sign_momentum`."""

    trace: Any


@gc.transformation
def scale_by_sign_momentum(decay: float = 0.9) -> gc.GradientTransformationExtraArgs:
    """A rule of one's own."""

    def init(p: jax.Array) -> SignMomentumState:
        return SignMomentumState(trace=jnp.zeros_like(p))

    def update(
        g: jax.Array, s: SignMomentumState, p: jax.Array | None
    ) -> tuple[jax.Array, SignMomentumState]:
        trace = decay * s.trace + (1 - decay) * g
        return jnp.sign(trace), s._replace(trace=trace)

    return gc.leafwise(init, update)


def loss_fn(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean squared error of a linear model."""
    return jnp.mean(gc.squared_error(x @ params["w"], y))


def types_of_what_is_made() -> gc.GradientTransformationExtraArgs:
    """Factories give pairs; chains, wrappers and one's own rules give pairs too."""
    assert_type(gc.adamw(1e-3), gc.GradientTransformationExtraArgs)
    assert_type(gc.scale_by_adam(b1=0.8), gc.GradientTransformationExtraArgs)
    assert_type(gc.inject_hyperparams(gc.adam)(1e-3), gc.GradientTransformationExtraArgs)
    assert_type(scale_by_sign_momentum(0.8), gc.GradientTransformationExtraArgs)
    assert_type(gc.accumulate_gradients(gc.sgd(0.1), every_k=2), gc.GradientTransformationExtraArgs)
    schedule = gc.cosine_decay_schedule(0.1, 100)
    tx = gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(schedule))
    assert_type(tx, gc.GradientTransformationExtraArgs)
    assert_type(gc.chain(gc.scale(2.0), scale_by_sign_momentum()), gc.GradientTransformationExtraArgs)
    assert_type(tx.links, tuple[gc.GradientTransformationExtraArgs, ...])
    assert_type(tx.replace(**{"adamw.b1": 0.8}), gc.GradientTransformationExtraArgs)
    return tx


def types_of_states(tx: gc.GradientTransformationExtraArgs, params: Params) -> None:
    """A state's fields are typed by its class."""
    state = gc.ScaleByAdamState(count=jnp.zeros([], jnp.int32), mu=params, nu=params)
    assert_type(state.count, jax.Array | int)
    assert_type(state._replace(count=state.count + 1), gc.ScaleByAdamState)
    assert_type(gc.hyperparams(tx, tx.init(params)), dict[str, Any])
    assert_type(SignMomentumState(trace=params), SignMomentumState)


def mistakes_are_seen() -> None:
    """Never called. Each line is an error to a type checker."""
    gc.adamw()  # type: ignore[call-arg]
    gc.adamw(1e-3, beta1=0.9)  # type: ignore[call-arg]
    gc.adamw("fast")  # type: ignore[arg-type]
    _ = gc.sgd(0.1).updates  # type: ignore[attr-defined]


def main() -> None:
    """Trains a little model."""
    tx = types_of_what_is_made()
    params: Params = {"w": jnp.ones((3, 1))}
    types_of_states(tx, params)
    x, y = jnp.eye(3), jnp.zeros((3, 1))
    state = tx.init(params)

    @jax.jit
    def train_step(params: Params, state: Any) -> tuple[Params, Any, jax.Array]:
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        params, state = tx.step(grads, state, params)
        return params, state, loss

    losses: list[float] = []
    for _ in range(50):
        params, state, loss = train_step(params, state)
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 10, losses
    print(f"gradchain {gc.__version__} on JAX {jax.__version__}: loss {losses[0]:.2f} to {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
