"""What saves memory, withstands spikes or sees curvature: closed forms, edges, errors."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arguments import curved
from trees import check_close, gradients, params

import gradchain as gc


def run(tx: Any, steps: int = 6, scale: float = 1.0) -> Any:
    p = params()
    state, step = tx.init(p), jax.jit(tx.step)
    for t in range(steps):
        p, state = step(gradients(p, t, scale), state, p)
    return p, state


def updates(tx: Any, grads: list[Any], p: Any) -> list[Any]:
    state, found = tx.init(p), []
    for g in grads:
        u, state = jax.jit(tx.update)(g, state, p)
        found.append(u)
    return found


# CAME


def test_the_first_step_of_came_is_eleven_long() -> None:
    """m = 0.1 n and |n - m|^2 = 0.81, of which S has 1e-4: 0.1 / (0.9 * 0.01)."""
    g = jnp.asarray([[3.0, -3.0, 3.0], [-3.0, 3.0, 3.0]])
    (u,) = updates(gc.scale_by_came(), [g], g)
    np.testing.assert_allclose(u, jnp.sign(g) * 0.1 / (0.9 * 0.01), rtol=1e-5)
    (v,) = updates(gc.scale_by_came(), [g[0]], g[0])
    np.testing.assert_allclose(v, 0.1 * jnp.sign(g[0]), rtol=1e-5)


def test_came_keeps_rows_and_columns() -> None:
    state = gc.scale_by_came().init({"w": jnp.ones((2, 30, 20)), "b": jnp.ones(5)})
    assert state.v_row["w"].shape == state.res_row["w"].shape == (2, 30)
    assert state.v_col["w"].shape == state.res_col["w"].shape == (2, 20)
    assert state.v["w"].shape == state.v_row["b"].shape == (1,)
    assert state.v["b"].shape == (5,)


def test_came_follows_a_matrix_that_is_turned() -> None:
    p = {"w": params()["w"]}
    turned = {"w": p["w"].T}
    tx = gc.scale_by_came(0.8, 0.9, 0.9)
    grads = [gradients(p, t) for t in range(4)]
    ours = updates(tx, grads, p)
    theirs = updates(tx, [{"w": g["w"].T} for g in grads], turned)
    for u, v in zip(ours, theirs, strict=True):
        check_close(u["w"], v["w"].T, 1e-5)


# Adam-mini


def test_adam_mini_with_a_block_for_each_entry_is_adam() -> None:
    check_close(run(gc.adam_mini(0.1, blocks=None))[0], run(gc.adam(0.1))[0], 1e-6)


def test_heads_share_one_mean_square() -> None:
    g = jnp.arange(1.0, 25.0).reshape(3, 8)
    (u,) = updates(gc.scale_by_adam_mini(blocks=gc.MeanBlocks(0, 2, 1)), [g], g)
    for head in (slice(0, 4), slice(4, 8)):
        part = g[:, head]
        np.testing.assert_allclose(u[:, head], part / jnp.sqrt(jnp.mean(part**2)), rtol=1e-5)
    state = gc.scale_by_adam_mini(blocks=gc.MeanBlocks(0, 2, 1)).init(g)
    assert state.nu.shape == (1, 2)


def test_blocks_go_by_names() -> None:
    def shape(*axes: int) -> Any:
        return jax.ShapeDtypeStruct(axes, jnp.float32)

    flax = {
        "embed": {"embedding": shape(50, 12)},
        "block": {
            "query": {"kernel": shape(12, 3, 4), "bias": shape(3, 4)},
            "value": {"kernel": shape(12, 3, 4)},
            "out": {"kernel": shape(3, 4, 12)},
            "mlp": {"kernel": shape(12, 48), "bias": shape(48)},
            "norm": {"scale": shape(12)},
        },
        "conv": {"kernel": shape(3, 3, 8, 16)},
    }
    assert gc.adam_mini_blocks(flax) == {
        "embed": {"embedding": gc.MeanBlocks((1,))},
        "block": {
            "query": {"kernel": gc.MeanBlocks((0, 2)), "bias": None},
            "value": {"kernel": gc.MeanBlocks((0,))},
            "out": {"kernel": gc.MeanBlocks((0, 1))},
            "mlp": {"kernel": gc.MeanBlocks((0,)), "bias": None},
            "norm": {"scale": gc.MeanBlocks()},
        },
        "conv": {"kernel": gc.MeanBlocks((0, 1, 2))},
    }
    # Equinox and PyTorch: the outputs come first; two axes for queries
    torch = {
        "attn": {"q_proj": {"weight": shape(12, 8)}, "o_proj": {"weight": shape(8, 12)}},
        "ln_f": {"weight": shape(8), "bias": shape(8)},
        "wte.weight": shape(50, 8),
    }
    blocks = gc.adam_mini_blocks(head_dim=4)
    assert blocks(torch) == {
        "attn": {
            "q_proj": {"weight": gc.MeanBlocks((1,), 3, 0)},
            "o_proj": {"weight": gc.MeanBlocks((1,))},
        },
        "ln_f": {"weight": gc.MeanBlocks(), "bias": None},
        "wte.weight": gc.MeanBlocks((1,)),
    }
    nu = gc.scale_by_adam_mini(blocks=blocks).init(jax.tree.map(lambda x: jnp.zeros(x.shape), torch)).nu
    assert [x.shape for x in jax.tree.leaves(nu)] == [(8, 1), (3, 1), (8,), (1,), (50, 1)]
    assert eval(repr(blocks), dict(vars(gc))) == blocks
    with pytest.raises(ValueError, match=r"head_dim must divide .* received 5 for 'attn/q_proj/weight'"):
        gc.adam_mini_blocks(torch, head_dim=5)


def test_adam_mini_decays_matrices_alone() -> None:
    p = {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2), "norm": {"scale": jnp.ones((2, 2))}}
    (u,) = updates(gc.adam_mini(0.1, weight_decay=0.5), [jax.tree.map(jnp.zeros_like, p)], p)
    assert float(jnp.abs(u["kernel"] + 0.05).max()) < 1e-7
    assert float(jnp.abs(u["bias"]).max()) == float(jnp.abs(u["norm"]["scale"]).max()) == 0


def test_blocks_may_be_a_prefix_and_parts_may_be_masked() -> None:
    p = {"a": {"w": jnp.ones((3, 2)), "v": jnp.ones((2, 2))}, "b": jnp.ones((4, 2))}
    blocks = {"a": gc.MeanBlocks(0), "b": None}
    assert gc.scale_by_adam_mini(blocks=blocks).init(p).nu["a"]["w"].shape == (1, 2)
    for tx in (gc.scale_by_adam_mini(blocks=blocks), gc.scale_by_amos(0.1, {"a": 1.0, "b": 2.0}, blocks)):
        part = gc.masked(tx, {"a": True, "b": False})
        u, state = part.update(p, part.init(p), p)
        assert state.inner_state.nu["a"]["v"].shape == (1, 2)
        np.testing.assert_array_equal(u["b"], p["b"])


def test_blocks_of_frameworks_models() -> None:
    nnx, eqx = pytest.importorskip("flax.nnx"), pytest.importorskip("equinox")
    nu = gc.scale_by_adam_mini().init(
        nnx.state(nnx.MultiHeadAttention(2, 8, decode=False, rngs=nnx.Rngs(0)), nnx.Param)
    )
    shapes = {
        name: x.shape for name, x in zip(*map(jax.tree.leaves, (gc.tree.paths(nu.nu), nu.nu)), strict=True)
    }
    assert shapes["query/kernel"] == shapes["key/kernel"] == (1, 2, 1)
    assert shapes["query/bias"] == (2, 4)
    assert shapes["value/kernel"] == (1, 2, 4)
    assert shapes["out/kernel"] == (1, 1, 8)
    model = eqx.filter(eqx.nn.MultiheadAttention(2, 8, key=jax.random.key(0)), eqx.is_array)
    state = gc.scale_by_adam_mini(blocks=gc.adam_mini_blocks(head_dim=4)).init(model)
    assert state.nu.query_proj.weight.shape == state.nu.key_proj.weight.shape == (2, 1)
    assert state.nu.value_proj.weight.shape == state.nu.output_proj.weight.shape == (8, 1)


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        (gc.MeanBlocks(2), r"\['w'\] has shape \(3, 2\), but its MeanBlocks\(axes=2.* name the axis 2"),
        (gc.MeanBlocks(0, 3, 1), r"\['w'\] has shape \(3, 2\) .* heads must divide the size of head_axis"),
        (gc.MeanBlocks(1, 2, 1), r"head_axis, which must not be one of axes"),
        ({"v": None}, "does not have the structure of the blocks"),
    ],
)
def test_blocks_that_do_not_fit_are_named(blocks: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        gc.adam_mini(0.1, blocks=blocks).init({"w": jnp.ones((3, 2))})


@pytest.mark.parametrize(
    "tx",
    [
        gc.adam_mini(0.1),
        gc.adam_mini(0.1, blocks={"w": gc.MeanBlocks(0, 2, 1), "b": None}),
        gc.adam_mini(0.1, blocks=gc.adam_mini_blocks(head_dim=4)),
        gc.adahessian(0.1, blocks=gc.spatial_blocks),
    ],
    ids=["default", "tree", "function", "spatial"],
)
def test_blocks_are_told_in_configurations(tx: Any) -> None:
    assert gc.from_config(gc.to_config(tx)) == tx


# APOLLO


def test_apollo_is_scaled_along_channels_of_the_gradient() -> None:
    """The shorter axis is projected: a factor for each entry of the longer one."""
    for shape, axis in (((4, 9), 0), ((9, 4), 1)):
        g = jax.random.normal(jax.random.key(0), shape)
        (u,) = updates(gc.scale_by_apollo(rank=2), [g], g)
        factors = u / g
        np.testing.assert_allclose(
            factors, jnp.broadcast_to(factors.mean(axis, keepdims=True), shape), rtol=1e-4
        )
        assert float(jnp.std(factors.mean(axis))) > 1e-3
        (u,) = updates(gc.scale_by_apollo(rank=1, scale_type="tensor"), [g], g)
        np.testing.assert_allclose(u / g, jnp.full(shape, (u / g)[0, 0]), rtol=1e-4)


def test_the_first_step_of_apollo_is_known() -> None:
    """Adam's first step is a sign, of length sqrt(rank): a channel's step is sqrt(rank) g / |P g|."""
    g = jax.random.normal(jax.random.key(1), (200, 400))
    (u,) = updates(gc.scale_by_apollo(rank=100, eps=0.0), [g], g)
    lengths = jnp.linalg.norm(u, axis=0)  # |P g| is |g| on average
    assert float(jnp.abs(lengths / 10 - 1).max()) < 0.4
    assert abs(float(lengths.mean()) / 10 - 1) < 0.02


def test_apollo_stores_no_projector_and_draws_anew() -> None:
    g = jnp.ones((8, 40))
    tx = gc.scale_by_apollo(rank=2, update_proj_gap=2, key=5)
    state = tx.init(g)
    assert state.mu.shape == state.nu.shape == (2, 40)
    assert sum(x.size for x in jax.tree.leaves((state.mu, state.nu, state.norm))) == 2 * 80 + 1
    means, before = [], state.mu
    for _ in range(4):
        _, state = tx.update(g, state, g)
        means.append((state.mu - 0.9 * before) / 0.1)  # the projected gradient of this step
        before = state.mu
    check_close(means[0], means[1], 1e-4)
    check_close(means[2], means[3], 1e-4)
    assert float(jnp.abs(means[1] - means[2]).max()) > 0.1


def test_apollo_grows_by_a_hundredth_at_most() -> None:
    g = {"w": jax.random.normal(jax.random.key(0), (6, 8))}
    tx, norms = gc.scale_by_apollo(b1=0.0, rank=2), []
    state = tx.init(g)
    for scale in (1.0, 1e-3, 1.0, 1.0, 0.0, 1.0):
        _, state = tx.update({"w": scale * g["w"]}, state, g)
        norms.append(float(state.norm["w"]))
    assert norms[1] < 0.1 * norms[0]
    np.testing.assert_allclose(norms[2:4], [1.01 * norms[1], 1.01**2 * norms[1]], rtol=1e-4)
    assert norms[4] == 0.0
    assert norms[5] > 0.1  # a gradient of zeros does not end all steps


def test_apollo_decays_after_the_step() -> None:
    p, g = {"w": jnp.full((4, 4), 2.0)}, {"w": jnp.ones((4, 4))}
    moved = gc.apollo(0.1, rank=1).step(g, gc.apollo(0.1, rank=1).init(p), p)[0]
    tx = gc.apollo(0.1, rank=1, weight_decay=0.5)
    np.testing.assert_allclose(tx.step(g, tx.init(p), p)[0]["w"], moved["w"] * 0.95, rtol=1e-6)


def test_apollo_without_matrices_is_adam() -> None:
    ours = run(gc.apollo(0.1, eps=0.0, low_rank_mask={"w": False, "deep": False}))[0]
    check_close(ours, run(gc.adam(0.1, eps=0.0))[0], 1e-6)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rank": 0}, "rank must be an integer of at least 1, received 0"),
        ({"rank": 1.5}, "rank must be an integer of at least 1, received 1.5"),
        ({"scale_type": "row"}, "scale_type must be 'channel' or 'tensor', received 'row'"),
    ],
)
def test_what_apollo_refuses(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        gc.apollo(0.1, **arguments)


# Tiger and Amos


def test_tiger_moves_in_units_of_the_parameter() -> None:
    p = {"w": jnp.asarray([[3.0, 4.0], [0.0, 0.0], [0.6, 0.8]]), "b": jnp.ones(2)}
    g = {"w": jnp.asarray([[1.0, -2.0], [1.0, 1.0], [-1.0, 5.0]]), "b": jnp.asarray([-3.0, 1.0])}
    (u,) = updates(gc.scale_by_tiger(weight_decay=0.0), [g], p)
    np.testing.assert_allclose(u["w"], jnp.sign(g["w"]) * jnp.sqrt(26.0 / 6), rtol=1e-6)
    np.testing.assert_allclose(u["b"], [-0.5, 0.5])
    (u,) = updates(gc.scale_by_tiger(weight_decay=0.1, embeddings={"w": True, "b": False}), [g], p)
    rows = jnp.sqrt(jnp.asarray([[12.5], [0.0], [0.5]]))
    np.testing.assert_allclose(u["w"], rows * (jnp.sign(g["w"]) + 0.1 * p["w"]), rtol=1e-6)
    np.testing.assert_allclose(u["b"], [-0.5, 0.5])


def test_amos_decays_only_with_its_rate() -> None:
    """The first step: v' is the squared gradient, so the step is xi (eta sign(g) + xi p / 2)."""
    p, g = {"w": jnp.asarray([2.0, -4.0])}, {"w": jnp.asarray([0.3, -7.0])}
    (u,) = updates(gc.amos(0.1, 0.5), [g], p)
    expected = -0.1 * (0.5 * jnp.sign(g["w"]) + 0.1 * p["w"] / 2)
    np.testing.assert_allclose(u["w"], expected, rtol=1e-5)
    state = gc.scale_by_amos(0.1).init(p)
    for _ in range(100):
        _, state = gc.scale_by_amos(0.1).update(g, state, p)
    # b grows: with steps that have |g|^2 = v', db/dt = xi^2 (1 + b) / sqrt(1 + sqrt(xi) b / 4)
    assert float(state.b["w"][0]) == pytest.approx(float(state.b["w"][1]), rel=1e-5)
    assert 1.0 < float(state.b["w"][0]) < 1.01**100 - 1


def test_amos_rates_fall_and_targets_differ() -> None:
    p = {"w": jnp.ones((4, 2)), "b": jnp.ones(2)}
    u = updates(gc.scale_by_amos(0.3, beta=0.5), [p] * 200, jax.tree.map(jnp.zeros_like, p))
    np.testing.assert_allclose(u[0]["w"], 0.5, rtol=1e-5)  # 1 / sqrt(4)
    np.testing.assert_allclose(u[0]["b"], 0.5, rtol=1e-5)
    assert float(u[-1]["w"][0, 0]) < 0.1
    tree = {"w": 0.1, "b": 2.0}
    for eta in (tree, lambda params: tree):
        (u0,) = updates(gc.scale_by_amos(0.3, eta), [p], jax.tree.map(jnp.zeros_like, p))
        np.testing.assert_allclose((u0["w"][0, 0], u0["b"][0]), (0.1, 2.0), rtol=1e-5)
    with pytest.raises(ValueError, match="does not have the structure of the eta"):
        gc.scale_by_amos(0.1, {"w": 0.1}).init(p)


# SPAM and Stable-SPAM


def test_spam_cuts_spikes_and_only_them() -> None:
    calm, spike = {"w": jnp.asarray([1.0, 1.0])}, {"w": jnp.asarray([1.0, 1e4])}
    tx = gc.scale_by_spam(threshold=9.0, clip_after=2)
    state = tx.init(calm)
    for _ in range(9):
        _, state = tx.update(calm, state, calm)
    _, cut = tx.update(spike, state, calm)
    limit = 3 * np.sqrt(float(state.nu["w"][1]))
    calm_next = tx.update(calm, state, calm)[1]
    np.testing.assert_allclose(cut.mu["w"][1], 0.9 * state.mu["w"][1] + 0.1 * limit, rtol=1e-5)
    np.testing.assert_allclose(cut.mu["w"][0], calm_next.mu["w"][0])
    early = tx.init(calm)
    _, early = tx.update(spike, early, calm)
    assert float(early.mu["w"][1]) == pytest.approx(1e3)


def test_spam_lets_an_entry_begin_late() -> None:
    """A row of an embedding whose first gradient comes after the first steps: its v is 0."""
    g = [{"w": jnp.asarray([1.0, 0.0])}] * 30 + [{"w": jnp.asarray([1.0, 1.0])}]
    assert float(updates(gc.scale_by_spam(), g, g[0])[-1]["w"][1]) > 0


def test_spam_begins_anew_and_warms_up() -> None:
    tx = gc.scale_by_spam(0.9, 0.9, 0.0, reset_interval=10, warmup_steps=4)
    g = {"w": jnp.asarray([2.0])}
    u = [float(x["w"][0]) for x in updates(tx, [g] * 24, g)]
    assert u[8] == pytest.approx(1.0, rel=1e-5)
    factor = np.sqrt(1 - 0.9**10) / (1 - 0.9**10)  # its count goes on
    warm = [1 - 0.99 * (1 + np.cos(np.pi * (k + 1) / 5)) / 2 for k in range(4)] + [1.0]
    assert u[9] == pytest.approx(warm[0] * factor * 0.1 / np.sqrt(0.1), rel=1e-4)
    for k, w in enumerate(warm):
        grown = (1 - 0.9 ** (k + 1)) / np.sqrt(1 - 0.9 ** (k + 1))
        count = np.sqrt(1 - 0.9 ** (10 + k)) / (1 - 0.9 ** (10 + k))
        assert u[9 + k] == pytest.approx(w * count * grown, rel=1e-4)


def test_stable_spam_takes_a_sign_where_it_begins_anew() -> None:
    """The authors' code takes the old moments there, with a count of 1: another step."""
    p = params()
    tx = gc.scale_by_stable_spam(reset_interval=4, theta=0.5)
    state = tx.init(p)
    for t in range(3):
        _, state = tx.update(gradients(p, t), state, p)
    new, after = tx.update(gradients(p, 3), state, p)
    check_close(new, jax.tree.map(jnp.sign, gradients(p, 3)), 1e-4)
    kept = 0.9 * state.mu["w"] + after.mu["w"]  # what the old moments would give, debiased by a count of 1
    slip = kept / 0.1 / (jnp.sqrt((0.999 * state.nu["w"] + after.nu["w"]) / 0.001) + 1e-8)
    assert float(jnp.abs(slip - new["w"]).max()) > 0.1


def test_stable_spam_does_not_see_the_scale_of_gradients() -> None:
    check_close(run(gc.stable_spam(0.1), scale=1e-3)[0], run(gc.stable_spam(0.1))[0], 1e-3)


def test_stable_spam_waits_where_the_gradient_is_zero() -> None:
    p = {"w": jnp.ones(3), "b": jnp.ones(2)}
    tx = gc.scale_by_stable_spam()
    _, state = tx.update(p, tx.init(p), p)
    u, after = tx.update({"w": jnp.zeros(3), "b": jnp.ones(2)}, state, p)
    assert float(jnp.abs(u["w"]).max()) == 0.0
    np.testing.assert_array_equal(after.mu["w"], state.mu["w"])
    assert float(after.largest["w"]) < float(state.largest["w"])
    assert float(jnp.abs(u["b"]).min()) > 0


# AdaHessian


def test_adahessian_is_newton_on_a_bowl() -> None:
    """b1 = b2 = 0: m / |h| with the curvature of each axis goes to the middle in one step."""
    scales = {"w": jnp.asarray([1.0, 10.0, 0.1])}

    def bowl(q: Any) -> Any:
        return jnp.sum(scales["w"] * q["w"] ** 2) / 2

    p = {"w": jnp.asarray([3.0, -2.0, 5.0])}
    tx = gc.adahessian(1.0, 0.0, 0.0, eps=0.0)
    moved, _ = tx.step(jax.grad(bowl)(p), tx.init(p), p, obj_fn=bowl)
    np.testing.assert_allclose(moved["w"], 0.0, atol=1e-5)


def test_adahessian_averages_over_the_kernel() -> None:
    p = {"k": jax.random.normal(jax.random.key(0), (3, 3, 2, 4)), "w": jnp.ones((2, 2))}
    state = gc.scale_by_adahessian().init(p)
    assert state.nu["k"].shape == (1, 1, 2, 4)
    assert state.nu["w"].shape == (2, 2)
    _, state = gc.scale_by_adahessian(b2=0.0).update(p, state, p, **curved(p, 0))
    exact = jnp.mean(12 * p["k"] ** 2 / 100, (0, 1), keepdims=True) ** 2
    np.testing.assert_allclose(state.nu["k"], exact, rtol=1e-4)


def test_adahessian_is_as_large_with_rare_estimates() -> None:
    """v is debiased by the number of estimates: constant curvature gives equal steps."""
    p = {"w": jnp.asarray([2.0, -1.0])}

    def bowl(q: Any) -> Any:
        return jnp.sum(q["w"] ** 2) * 2

    def last(every: int) -> Any:
        tx = gc.scale_by_adahessian(update_interval=every)
        state = tx.init(p)
        for _ in range(5):
            u, state = tx.update(p, state, p, obj_fn=bowl)
        return u

    check_close(last(4), last(1), 1e-5)


def test_adahessian_names_what_it_needs() -> None:
    p, tx = params(), gc.adahessian(0.1)
    with pytest.raises(ValueError, match="adahessian needs the parameters"):
        tx.update(p, tx.init(p))
    with pytest.raises(TypeError, match="obj_fn"):
        tx.update(p, tx.init(p), p)


def test_sophia_and_adahessian_share_their_estimator() -> None:
    assert gc.transforms.hutchinson_estimator_diag_hessian is gc.hutchinson_estimator_diag_hessian
    assert gc.optimizers.HutchinsonState is gc.HutchinsonState


# SWATS and Ranger


def test_swats_switches_to_the_rate_of_its_steps() -> None:
    """With a constant gradient of equal entries Adam's step is a sign: SGD's rate for it is 1 / |g|."""
    p, g = {"w": jnp.asarray([1.0, 1.0])}, {"w": jnp.asarray([4.0, 4.0])}
    tx = gc.scale_by_swats(b1=0.0, b2=0.9)
    state, seen = tx.init(p), []
    for _ in range(5):
        u, state = tx.update(g, state, p)
        seen.append(float(state.sgd_scale))
    assert seen[0] == 0.0
    np.testing.assert_allclose(seen[1:], 0.25, rtol=1e-5)
    np.testing.assert_allclose(u["w"], 1.0, rtol=1e-5)
    u, _ = tx.update({"w": jnp.asarray([1.0, -2.0])}, state, p)
    np.testing.assert_allclose(u["w"], [0.25, -0.5], rtol=1e-5)


def test_swats_that_never_switches_is_adam() -> None:
    ours, state = run(gc.swats(0.1, eps=0.0, switch_tolerance=0.0))
    check_close(ours, run(gc.adam(0.1, eps=0.0))[0], 1e-5)
    (rule,) = [s for s in state if hasattr(s, "sgd_scale")]
    assert float(rule.sgd_scale) == 0.0


def test_ranger_is_a_chain_in_lookahead() -> None:
    chain = gc.chain(gc.centralize(), gc.scale_by_radam(0.95, 0.999, 1e-5), gc.scale_by_learning_rate(0.1))
    ours, state = run(gc.ranger(0.1, b2=0.999), 7)
    theirs, _ = run(gc.lookahead(chain, 6, 0.5), 7)
    check_close(ours, theirs, 1e-6)
    assert jax.tree.structure(gc.eval_params(state, ours)) == jax.tree.structure(ours)
    with pytest.raises(ValueError, match="sync_period must be at least 1, received 0"):
        gc.ranger(0.1, sync_period=0)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("came", {"eps1": -1.0}),
        ("came", {"eps2": -1.0}),
        ("came", {"clip_threshold": 0.0}),
        ("came", {"b3": 1.0}),
        ("apollo", {"scale": 0.0}),
        ("apollo", {"update_proj_gap": 0}),
        ("tiger", {"beta": 1.0}),
        ("amos", {"beta": 1.0}),
        ("amos", {"zeta": -0.1}),
        ("amos", {"learning_rate": -0.1}),
        ("spam", {"threshold": 0.0}),
        ("spam", {"reset_interval": 0}),
        ("spam", {"warmup_steps": -1}),
        ("spam", {"clip_after": -1}),
        ("stable_spam", {"gamma1": 1.0}),
        ("stable_spam", {"gamma2": 1.0}),
        ("stable_spam", {"theta": 1.0}),
        ("stable_spam", {"reset_interval": 0}),
        ("adahessian", {"hessian_power": 0.0}),
        ("adahessian", {"update_interval": 0}),
        ("swats", {"switch_tolerance": -1.0}),
        ("ranger", {"slow_step_size": 1.5}),
    ],
    ids=lambda x: x if isinstance(x, str) else next(iter(x)),
)
def test_numbers_out_of_range_are_named(name: str, arguments: dict[str, Any]) -> None:
    argument, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"{name}: {argument} must be .*, received {value}"):
        getattr(gc, name)(**{"learning_rate": 0.1, **arguments})
