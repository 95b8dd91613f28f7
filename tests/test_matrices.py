"""The lifter for stacks, blocks and merged axes, division over devices; SOAP and Shampoo in closed form."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from devices import mesh_of
from trees import check_close, enable_x64, gradients

import gradchain as gc
from gradchain.core import StackView, _matrixwise, matrices, matrixwise
from gradchain.core._stacks import merged
from gradchain.transforms.dimension_numbers import stack_views
from gradchain.transforms.kronecker import inverse_root


def random(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize(
    ("shape", "how", "shapes"),
    [
        ((7, 5), {"block": 3}, [(2, 3, 3), (2, 3, 2), (1, 1, 3), (1, 1, 2)]),
        ((6, 4), {"block": 2}, [(6, 2, 2)]),
        ((2, 3, 4, 5), {"merge": 12, "block": 5}, [(1, 5, 4, 5), (1, 1, 4, 5)]),
        ((2, 3, 4, 5), {"numbers": gc.MuonDimensionNumbers((0, 1), 3)}, [(4, 6, 5)]),
        ((6, 12), {"numbers": gc.MuonDimensionNumbers(0, 1, 2, 3)}, [(6, 3, 4)]),
        ((), {}, [(1, 1)]),
        ((0, 3), {}, [(1, 0, 3)]),
    ],
)
def test_arrays_come_back_from_their_stacks(shape: Any, how: Any, shapes: Any) -> None:
    x, view = random(*shape), StackView.of("test", shape, **how)
    stacks = view.split(x)
    assert [s.shape for s in stacks] == view.shapes == shapes
    np.testing.assert_array_equal(view.join(stacks), x)
    assert sorted(np.concatenate([np.ravel(s) for s in stacks])) == sorted(np.ravel(x))


def test_blocks_are_those_of_the_array() -> None:
    x = random(7, 5)
    inner, right, below, corner = StackView.of("test", (7, 5), block=3).split(x)
    np.testing.assert_array_equal(inner[1], x[3:6, :3])
    np.testing.assert_array_equal(right[0], x[:3, 3:])
    np.testing.assert_array_equal(below[0], x[6:, :3])
    np.testing.assert_array_equal(corner[0], x[6:, 3:])


def test_axes_are_merged_while_their_product_is_small() -> None:
    assert merged((1, 2, 5, 1), 10, True) == [10]
    assert merged((32, 3, 64, 64), 8192, True) == [96, 4096]
    assert merged((2, 3, 4), 6) == [6, 4]
    assert merged((2, 3, 4), 12, True) == [2, 12]
    assert merged((), 5) == merged((1, 1), 5) == [1]
    assert merged((9, 2), 4) == [9, 2]


class SeenState(NamedTuple):
    count: Any
    mu: Any
    sizes: Any


def seen() -> Any:
    """A rule that keeps what it saw: the sum of each array, and the number of steps times the gradient."""

    def init(p: Any) -> SeenState:
        return SeenState(0, jnp.zeros(p.shape, jnp.float32), jnp.zeros(p.shape[:1], jnp.float32))

    def update(g: Any, s: SeenState, p: Any) -> Any:
        return s.count * g, s._replace(mu=s.mu + g, sizes=jnp.sum(g, tuple(range(1, g.ndim))))

    views = stack_views("seen", None, None, block=2)
    return matrixwise(init, update, views=views, like_params=["mu"], name="seen")


def test_a_rule_sees_stacks_and_its_state_follows_the_parameters() -> None:
    p = {"a": random(4, 3), "b": random(2, 2, seed=1), "none": None, "half": random(3).astype(jnp.bfloat16)}
    tx = seen()
    state = tx.init(p)
    for count in (1, 2):
        updates, state = tx.update(p, state, p)
        np.testing.assert_allclose(updates["a"], count * p["a"], rtol=1e-6)
    assert state.count == 2
    assert state.mu["a"].shape == (4, 3)
    assert state.mu["none"] is updates["none"] is None
    assert updates["half"].dtype == jnp.bfloat16
    assert state.mu["half"].dtype == jnp.float32
    assert [x.shape for x in state.sizes["a"]] == [(2,), (2,)]  # two blocks of 2 x 2 and two of 2 x 1
    np.testing.assert_allclose(state.sizes["a"][1][1], p["a"][2:, 2].sum(), rtol=1e-6)
    with pytest.raises(ValueError, match=r"seen: gradient \['a'\] has shape \(4, 3\) but its state's mu"):
        tx.update(p, state._replace(mu={**state.mu, "a": jnp.zeros(3)}), p)


def test_equal_shapes_take_one_step_together() -> None:
    p = {str(i): random(6, 4, seed=i) for i in range(8)}
    tx = gc.scale_by_soap(precondition_frequency=3)
    text = jax.jit(tx.update).lower(p, tx.init(p)).as_text()
    assert text.count("call @lapack_ssyevd_ffi") == 2  # rows and columns, for all eight
    _, state = tx.update(p, tx.init(p), p)
    alone = {k: tx.update({k: x}, tx.init({k: x}))[1].bases[k] for k, x in p.items()}
    check_close({k: jax.tree.map(jnp.abs, state.bases[k]) for k in p}, jax.tree.map(jnp.abs, alone), 1e-4)


def steps_of(tx: Any) -> Any:
    """Where five steps lead, from three matrices of two shapes."""
    params = {"a": random(3, 5), "b": random(3, 5, seed=1), "c": random(4, 2, seed=2)}
    state = tx.init(params)
    for i in range(5):
        grads = jax.tree.map(lambda p, i=i: random(*p.shape, seed=i), params)
        params, state = tx.step(grads, state, params)
    return params


@pytest.mark.parametrize("name", ["soap", "shampoo", "kl_soap", "kl_shampoo"])
def test_stacks_lead_where_single_matrices_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU takes matrices one by one, other devices stacks of them; the numbers are the same."""
    single = steps_of(getattr(gc, name)(0.1, eps=1e-3, precondition_frequency=2))
    jax.clear_caches()
    for module in (_matrixwise, matrices):
        monkeypatch.setattr(module, "one_by_one", lambda: False)
    tx = getattr(gc, name)(0.1, eps=1e-3, precondition_frequency=2)
    check_close(steps_of(tx), single, 1e-3)
    jax.clear_caches()


def collectives(tx: Any, mesh: Any) -> int:
    """How often the compiled update lets the devices of a mesh talk to each other."""
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    p = {str(i): jax.device_put(random(16, 8, seed=i), split) for i in range(8)}
    state = tx.init(p)
    with jax.set_mesh(mesh):
        text = jax.jit(tx.update).lower(p, state, p).compile().as_text()
        updates, _ = jax.jit(tx.update)(p, state, p)
    plain = jax.tree.map(np.asarray, p)
    check_close(updates, tx.update(plain, tx.init(plain), plain)[0], 1e-4)
    return sum(
        text.count(f" {kind}(") for kind in ("all-gather", "all-reduce", "all-to-all", "collective-permute")
    )


@pytest.mark.skipif(not hasattr(jax, "set_mesh"), reason="the mesh in use is told by jax.set_mesh")
def test_devices_do_not_talk_inside_iterations() -> None:
    """Whole matrices lie on one device: more iterations need no more talk."""
    mesh = mesh_of((8,), "data")
    few, many = (collectives(gc.scale_by_muon("polar_express", n), mesh) for n in (1, 8))
    assert few == many
    assert few > 0  # the matrices came in pieces


def test_inverse_roots_of_matrices_without_full_rank() -> None:
    with enable_x64():
        x = np.random.default_rng(0).normal(size=(2, 4, 3))
        a = jnp.asarray(x @ x.transpose(0, 2, 1))
        root = inverse_root(a, 4, 1e-6)
        power = np.linalg.multi_dot
        for r, m in zip(root, a, strict=True):
            np.testing.assert_allclose(power([r, r, r, r]) @ (m + 1e-6 * np.eye(4)), np.eye(4), atol=1e-6)
        zero = jnp.zeros((1, 3, 3))
        np.testing.assert_array_equal(inverse_root(zero, 2, 0.0), zero)
        step = jax.jvp(lambda e: inverse_root(zero + jnp.eye(3)[None], 2, e), (0.5,), (1.0,))[1]
        np.testing.assert_allclose(
            step[0], -0.5 * 1.5**-1.5 * np.eye(3), rtol=1e-9
        )  # all eigenvalues equal


# Shampoo and SOAP in closed form


def polar(g: Any) -> np.ndarray:
    left, _, right = np.linalg.svd(np.asarray(g), full_matrices=False)
    return left @ right


@pytest.mark.parametrize("shape", [(4, 3), (3, 5)])
@pytest.mark.parametrize("one_sided", [False, True])
def test_the_first_step_of_shampoo_is_the_polar_factor(shape: Any, one_sided: bool) -> None:
    with enable_x64():
        g = jnp.asarray(np.random.default_rng(3).normal(size=shape))
        tx = gc.scale_by_shampoo(merge_dims=False, eps=1e-14, one_sided=one_sided)
        u, _ = tx.update(g, tx.init(g))
        np.testing.assert_allclose(u, polar(g), atol=1e-5)
        exact = gc.scale_by_muon("exact", beta=0.0)
        np.testing.assert_allclose(exact.update(g, exact.init(g))[0], polar(g), atol=1e-6)


def test_grafts_give_the_length_of_their_steps() -> None:
    g = {"w": random(4, 3)}
    expected = {
        "sgd": jnp.linalg.norm(g["w"]),
        "adagrad": np.sqrt(12),
        "rmsprop": np.sqrt(12 / 0.01),
        "adam": np.sqrt(12),
    }
    for graft, length in expected.items():
        tx = gc.scale_by_shampoo(graft=graft, merge_dims=False)  # type: ignore[arg-type]
        u, state = tx.update(g, tx.init(g))
        np.testing.assert_allclose(jnp.linalg.norm(u["w"]), length, rtol=1e-4)
        assert sum(x.size for x in jax.tree.leaves(state.nu)) == (0 if graft == "sgd" else 12)
    with pytest.raises(ValueError, match=r"graft must be one of .*received 'adem'. Did you mean 'adam'"):
        gc.scale_by_shampoo(graft="adem")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^shampoo: graft must be one of"):
        gc.shampoo(graft="adem")  # type: ignore[arg-type]


def test_small_matrices_are_merged_into_vectors() -> None:
    """Distributed Shampoo's default: a matrix of fewer entries than the limit has one factor."""
    g = {"w": random(2, 3)}
    merges, keeps = gc.shampoo(), gc.shampoo(max_precond_dim=3)
    assert [a.shape for a in jax.tree.leaves(merges.init(g)[0].factors)] == [(1, 6, 6)]
    assert [a.shape for a in jax.tree.leaves(keeps.init(g)[0].factors)] == [(1, 2, 2), (1, 3, 3)]
    u, _ = merges.update(g, merges.init(g), g)
    np.testing.assert_allclose(u["w"], -0.01 * g["w"] / jnp.linalg.norm(g["w"]), rtol=5e-3)


def test_soap_without_a_basis_is_adam_one_call_later() -> None:
    p = {"w": random(3, 4), "b": random(3)}
    soap, adam = gc.soap(0.1, 0.9, 0.99, max_precond_dim=1, weight_decay=0.0), gc.adam(0.1, 0.9, 0.99)
    q, state, other = p, soap.init(p), adam.init(p)
    first, state = soap.update(gradients(p, 9), state, p)
    assert not any(np.any(x) for x in jax.tree.leaves(first))
    for t in range(4):
        p, state = soap.step(gradients(p, t), state, p)
        q, other = adam.step(gradients(q, t), other, q)
    # Adam's eps stands beside the corrected root: it is too small to matter
    check_close(p, q, 1e-5)


def test_soap_does_not_see_the_signs_of_eigenvectors() -> None:
    p, tx = {"w": random(4, 3)}, gc.scale_by_soap(precondition_frequency=5)
    _, state = tx.update(gradients(p, 0), tx.init(p), p)
    turned = state._replace(bases=jax.tree.map(lambda q: q * jnp.asarray([[[-1.0]]]), state.bases))
    for t in (1, 2):
        u, state = tx.update(gradients(p, t), state, p)
        v, turned = tx.update(gradients(p, t), turned, p)
        check_close(v, u, 1e-5)


def test_soap_renews_its_basis_only_when_due() -> None:
    p, tx = {"w": random(4, 3)}, gc.scale_by_soap(precondition_frequency=3)
    state, seen_bases, step = tx.init(p), [], jax.jit(tx.update)
    for t in range(8):
        _, state = step(gradients(p, t), state, p)
        seen_bases.append(np.asarray(state.bases["w"][0][0]))
    moved = [bool(np.any(a != b)) for a, b in itertools.pairwise(seen_bases)]
    assert moved == [False, False, True, False, False, True, False]
    for q in seen_bases:
        np.testing.assert_allclose(q[0].T @ q[0], np.eye(4), atol=1e-5)
    assert step._cache_size() == 1  # one program for every step
    assert "conditional" in step.lower(p, state, p).compile().as_text()


def test_blocks_are_preconditioned_by_themselves() -> None:
    w = random(4, 6)
    whole, alone = gc.scale_by_soap(block_size=3), gc.scale_by_soap()
    left = {"w": w[:3, :3]}
    state, part = whole.init({"w": w}), alone.init(left)
    for t in range(3):
        g = gradients({"w": w}, t)["w"]
        u, state = whole.update({"w": g}, state)
        v, part = alone.update({"w": g[:3, :3]}, part)
    check_close(u["w"][:3, :3], v["w"], 1e-4)


@pytest.mark.parametrize("factory", [gc.soap, gc.shampoo])
def test_frequencies_and_sizes_are_checked(factory: Any) -> None:
    for name in ("precondition_frequency", "max_precond_dim"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, received 0"):
            factory(**{name: 0})


def test_describe_says_what_happens_to_long_axes() -> None:
    p = {"w": jnp.ones((4, 3)), "wide": jnp.ones((3, 20))}
    tx = gc.partition({"a": gc.soap(max_precond_dim=10), "b": gc.sgd(0.1)}, {"w": "a", "wide": "a"})
    told = "scale_by_soap: ['wide'] of shape (3, 20) has no factor for its axis of 20."
    assert str(gc.describe(tx, p)).splitlines()[-1] == told
    tx = gc.shampoo(max_precond_dim=6, merge_dims=False)
    told = "scale_by_shampoo: ['wide'] of shape (3, 20) is cut into 4 blocks."
    assert str(gc.describe(tx, p)).splitlines()[-1] == told
    assert gc.describe(gc.soap(), p).remarks == []
