"""What communicates: types that say what all devices share, and errors that name the remedy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from communication import LR, OUTER, TXS, for_all, mesh, on_devices, problem, shard_map, train, trained
from devices import eight
from jax.sharding import Mesh, PartitionSpec as P
from trees import check_close

import gradchain as gc


def test_what_all_devices_share_is_typed_so() -> None:
    """Parameters, the outer state and q need no axis of devices: a scan and `P()` check their types."""
    p, g = problem()
    links = gc.power_sgd(2, min_compression_rate=0), gc.sign_majority_vote()
    way: Any = None
    for link in links:
        tx = gc.chain(link, gc.sgd(LR, 0.9))
        run = shard_map(  # type: ignore[misc]
            lambda p, g, tx=tx: train(tx)(p, tx.init(p), jax.tree.map(lambda x: x[0], g))[0],
            mesh=mesh(),
            in_specs=(P(), P("data")),
            out_specs=P(),
        )
        way = jax.jit(run)(p, g)
        assert np.all(np.isfinite(way["w"]))
    check_close(way["w"][0], trained("vote")[0]["w"][0, 0], 1e-5)  # before there is a momentum
    tx = TXS["diloco"]

    def rounds(p: Any, g: Any) -> Any:
        state, g = tx.init(p), jax.tree.map(lambda x: x[0], g)
        return train(tx)(jax.lax.pcast(p, "data", to="varying"), state, g)[1].start

    run = shard_map(rounds, mesh=mesh(), in_specs=(P(), P("data")), out_specs=P())  # type: ignore[misc]
    check_close(jax.jit(run)(p, g), jax.tree.map(lambda x: x[0, -1], trained("diloco")[0]), 1e-6)


@pytest.mark.parametrize("whole", [True, False])
def test_links_go_through_wrappers(whole: bool) -> None:
    """What a step gives is typed as the same on all devices, and what another leaves is not."""
    p, g = problem()
    link = gc.chain(gc.sign_majority_vote(), gc.sgd(LR))
    ways = {}
    for tx in (gc.accumulate_gradients(link, 2), gc.apply_if_finite(link, 2)):
        ways[tx.factory], _ = on_devices(train(tx, whole))(for_all(p), for_all(tx.init(p)), g)
    check_close(ways[gc.apply_if_finite], trained("vote")[0], 1e-5)
    held = np.asarray(ways[gc.accumulate_gradients]["w"])
    assert np.all(np.ptp(held, axis=0) == 0)
    assert np.array_equal(held[0, 1], held[0, 2])
    assert not np.array_equal(held[0, 2], held[0, 3])


def test_two_axes_are_one() -> None:
    both = Mesh(np.array(eight()).reshape(4, 2), ("x", "y"))
    _, g = problem(steps=1)
    first = jax.tree.map(lambda x: x[:, 0], g)
    for make in (gc.sign_majority_vote, lambda axis: gc.sign_majority_vote(axis, error_feedback=True)):
        one, two = make("data"), make(("x", "y"))

        def own(g: Any, tx: Any) -> Any:
            return tx.update(g, tx.init(g))[0]

        expected = jax.vmap(lambda g, tx=one: own(g, tx), axis_name="data")(first)
        run = shard_map(  # type: ignore[misc]
            lambda g, tx=two: own(jax.tree.map(lambda x: x[0], g), tx),
            mesh=both,
            in_specs=P(("x", "y")),
            out_specs=P(),
        )
        check_close(jax.jit(run)(first), jax.tree.map(lambda x: x[0], expected), 1e-6)


# Errors

MAKERS: list[Callable[..., Any]] = [
    lambda **k: gc.power_sgd(**k),
    lambda **k: gc.sign_majority_vote(**k),
    lambda **k: gc.diloco(gc.sgd(LR), OUTER, 2, **k),
]


@pytest.mark.parametrize("make", MAKERS)
def test_errors_name_the_remedy(make: Callable[..., Any]) -> None:
    p = {"w": jnp.ones((3, 2))}
    name = make().factory.__name__
    with pytest.raises(
        ValueError, match=f"^{name}: .*the axis 'data', which is not bound here. .*axis=None"
    ):
        make().update(p, make().init(p), p)
    with pytest.raises(ValueError, match="the axis 'nowhere', which is not bound here; bound are 'data'"):
        on_devices(lambda p: make(axis="nowhere").update(p, make().init(p), p)[0])(for_all(p))
    with pytest.raises(TypeError, match=f"^{name}: axis must be .*, received 3"):
        make(axis=3)

    def summed(p: Any, x: Any) -> Any:
        grads = jax.grad(lambda p: jnp.sum(p["w"] * x[0]))(p)
        return make().update(grads, make().init(p), p)[0]

    run = shard_map(summed, mesh=mesh(), in_specs=(P(), P("data")), out_specs=P())  # type: ignore[misc]
    with pytest.raises(ValueError, match=rf"^{name}: .*\['w'\] .* along 'data': .*jax.lax.pcast\(params, "):
        jax.eval_shape(run, p, jnp.ones((8, 3, 2)))


def test_arguments_are_checked() -> None:
    for wrong in (0, 1.5, True):
        with pytest.raises(ValueError, match="diloco: every must be a whole number of at least 1"):
            gc.diloco(gc.sgd(LR), OUTER, wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="power_sgd: rank must be a whole number of at least 1"):
            gc.power_sgd(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="power_sgd: start_iter must be a whole number of at least 0"):
        gc.power_sgd(start_iter=-1)
    with pytest.raises(ValueError, match="power_sgd: min_compression_rate must be a number"):
        gc.power_sgd(min_compression_rate=float("nan"))
    g = {"w": jnp.ones(3, jnp.complex64)}
    with pytest.raises(ValueError, match=r"gradient \['w'\] is complex.*split_real_and_imaginary"):
        gc.sign_majority_vote(None).update(g, gc.sign_majority_vote(None).init(g))
