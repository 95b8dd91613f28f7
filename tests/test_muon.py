"""Muon done right: presets of polynomials, momenta, scalings, dimension numbers by name."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from trees import check_close, enable_x64, gradients

import gradchain as gc
from gradchain.transforms.newton_schulz import orthogonalized
from gradchain.transforms.polynomials import PRESETS, coefficients

# The smallest and largest singular value that comes out of [1e-3, 1], and what comes out of 1 and of 1/2
TABLE = {
    "standard": (0.4705, 1.2024, 0.6964, 0.76544),
    "dion": (0.4750, 1.1450, 0.9783, 0.98587),
    "polar_express": (0.8764, 1.1236, 1.1236, 0.93376),
    "polar_express_safe": (0.8462, 1.1236, 1.0288, 0.93433),
    "polar_express_refit": (0.8589, 1.1411, 0.8591, 0.91061),
    "cans": (0.8844, 1.1198, 1.0051, 1.09641),
    "twelve": (1.0, 1.0, 1.0, 1.0),
    "exact": (1.0, 1.0, 1.0, 1.0),
}


def random_matrices(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def iterated(name: str, x: Any, **how: Any) -> jax.Array:
    return orthogonalized(x, coefficients("test", name, 5), 5, margin=PRESETS[name].margin, **how)


def test_the_table_has_every_preset() -> None:
    assert set(TABLE) == set(PRESETS)


@pytest.mark.parametrize("name", TABLE)
def test_singular_values_come_out_as_the_authors_say(name: str) -> None:
    with enable_x64():
        rows = coefficients("test", name, 5)
        rows = jnp.broadcast_to(rows, (5, 3)) if rows.ndim == 1 else rows
        x = given = jnp.append(jnp.asarray(np.geomspace(1e-3, 1, 20_001)), 0.5)
        for a, b, c in np.asarray(rows):
            x = a * x + b * x**3 + c * x**5
        least, most, at_one, at_half = TABLE[name]
        np.testing.assert_allclose([x.min(), x.max()], [least, most], atol=2e-4)
        np.testing.assert_allclose([x[-2], x[-1]], [at_one, at_half], atol=2e-4)
        assert given[-2] == 1


@pytest.mark.parametrize("gram", [False, True])
@pytest.mark.parametrize("name", TABLE)
def test_no_preset_turns_a_matrix_of_rank_one_around(name: str, gram: bool) -> None:
    with enable_x64():
        x = jnp.asarray(np.outer([1.0, -2.0, 0.5], [3.0, 1.0, -1.0, 0.2, 2.0]))[None]
        y = iterated(name, x, gram=gram)
        along = float(jnp.sum(x * y) / jnp.linalg.norm(x))
        assert 0.6 < along < 1.3
        np.testing.assert_allclose(y[0], along * x[0] / jnp.linalg.norm(x), atol=1e-6)


def test_exact_gives_the_polar_factor() -> None:
    with enable_x64():
        left, _, right = np.linalg.svd(np.asarray(random_matrices(6, 9)), full_matrices=False)
        x = jnp.asarray(left @ np.diag(np.geomspace(1e-4, 1, 6)) @ right)[None]
        for gram in (False, True):
            np.testing.assert_allclose(iterated("exact", x, gram=gram)[0], left @ right, atol=1e-7)


def test_rotations_go_through_the_iteration() -> None:
    """NS(U X V) = U NS(X) V, and the scale of X does not matter."""
    with enable_x64():
        x = random_matrices(1, 4, 7)
        u, v = (jnp.linalg.qr(random_matrices(n, n, seed=n))[0] for n in (4, 7))
        y = iterated("polar_express", x)
        np.testing.assert_allclose(iterated("polar_express", u @ x @ v), u @ y @ v, atol=1e-6)
        np.testing.assert_allclose(iterated("polar_express", 1e4 * x), y, atol=1e-6)


def test_gram_matrices_give_the_same_iteration() -> None:
    g = {"w": jnp.asarray(random_matrices(4, 64), jnp.float32)}
    for name in ("standard", "polar_express"):
        direct, by_gram = (gc.scale_by_muon(name, gram=gram) for gram in (False, True))
        first, second = (tx.update(g, tx.init(g))[0] for tx in (direct, by_gram))
        check_close(second, first, 2e-5)
    text = jax.jit(by_gram.update).lower(g, by_gram.init(g)).as_text()
    wide = [
        line for line in text.splitlines() if "dot_general" in line and "x64xf32>" in line.split("->")[-1]
    ]
    assert len(wide) == 2  # x comes in after the restart and at the end, not in each of five iterations


def trained(tx: Any, steps: int = 5) -> Any:
    p = {"w": jnp.asarray(random_matrices(3, 5), jnp.float32), "b": jnp.ones(3)}
    state = tx.init(p)
    for t in range(steps):
        p, state = tx.step(gradients(p, t), state, p)
    return p["w"]


def test_heavy_ball_is_the_average_without_its_factor() -> None:
    """After the division by the norm the factor 1 - beta is gone: Moonlight's steps are Jordan's."""
    for nesterov in (True, False):
        jordan = gc.muon(0.1, debias=False, nesterov=nesterov)
        check_close(trained(gc.muon(0.1, heavy_ball=True, nesterov=nesterov)), trained(jordan), 1e-4)
    apart = np.abs(trained(gc.muon(0.1)) - trained(gc.muon(0.1, debias=False)))
    assert 1e-3 < float(apart.max()) < 0.1  # debiasing mixes momentum and gradient in other shares


@pytest.mark.parametrize(
    ("scaling", "tall", "wide"),
    [
        ("original", 1.0, np.sqrt(2)),
        ("match_rms_adamw", 0.2 * np.sqrt(8), 0.2 * np.sqrt(8)),
        ("spectral", np.sqrt(1 / 2), np.sqrt(2)),
    ],
)
def test_scalings(scaling: Any, tall: float, wide: float) -> None:
    p = {"tall": jnp.asarray(random_matrices(8, 4), jnp.float32)}
    p["wide"] = p["tall"].T
    tx = gc.muon(1.0, "exact", scaling=scaling)
    u, _ = tx.update(p, tx.init(p), p)
    for name, factor in (("tall", tall), ("wide", wide)):
        np.testing.assert_allclose(np.linalg.svd(u[name])[1], factor, rtol=1e-4)


def test_what_muon_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match=r"muon: ns_coeffs must be one of .*Did you mean 'polar_express'"):
        gc.muon(0.1, "polar_expres")
    with pytest.raises(ValueError, match=r"muon: scaling must be one of .*Did you mean 'spectral'"):
        gc.muon(0.1, scaling="spektral")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="normuon: scaling must be one of"):
        gc.normuon(scaling="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="adamuon: ns_coeffs must be one of"):
        gc.adamuon(ns_coeffs="none")


def test_normuon_gives_neurons_steps_of_one_length() -> None:
    g = {"w": jnp.asarray(random_matrices(6, 4), jnp.float32) * jnp.asarray([[1.0, 0.1, 10.0, 1.0]])}
    tx = gc.chain(gc.scale_by_muon("standard"), gc.scale_by_normuon(0.0))
    u = tx.update(g, tx.init(g))[0]["w"]
    before = gc.scale_by_muon("standard").update(g, gc.scale_by_muon("standard").init(g))[0]["w"]
    lengths = np.linalg.norm(u, axis=0)
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(u), np.linalg.norm(before), rtol=1e-5)
    assert np.ptp(np.linalg.norm(before, axis=0)) > 0.05


def test_adamuon_has_the_root_mean_square_of_adam() -> None:
    p = {"w": jnp.asarray(random_matrices(6, 4), jnp.float32)}
    tx = gc.adamuon(1.0, weight_decay=0.0)
    u = tx.update(p, tx.init(p), p)[0]["w"]
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(u**2)), 0.2, rtol=1e-5)


# Which axes are a matrix

MODEL = {
    "embed": {"embedding": jnp.ones((5, 6))},
    "block_0": {
        "query": {"kernel": jnp.ones((6, 2, 3))},
        "out": {"kernel": jnp.ones((2, 3, 6))},
        "qkv": {"kernel": jnp.ones((6, 18)), "bias": jnp.ones(18)},
        "Conv_0": {"kernel": jnp.ones((3, 3, 2, 4))},
    },
    "lm_head": {"kernel": jnp.ones((6, 5))},
}


def test_a_library_s_layers_are_known_by_name_and_rank() -> None:
    numbers = gc.matrix_dimension_numbers("flax")(MODEL)
    block = numbers["block_0"]
    assert block["query"]["kernel"] == gc.MuonDimensionNumbers(-3, -1)
    assert block["out"]["kernel"] == gc.MuonDimensionNumbers(-2, -1)
    assert block["Conv_0"]["kernel"] == gc.MuonDimensionNumbers((0, 1, 2), -1)
    assert block["qkv"] == {"kernel": gc.MuonDimensionNumbers(), "bias": None}
    assert numbers["embed"]["embedding"] is numbers["lm_head"]["kernel"] is None
    equinox = gc.matrix_dimension_numbers("equinox")({"layers": [{"weight": jnp.ones((4, 2, 3, 3))}]})
    assert equinox["layers"][0]["weight"] == gc.MuonDimensionNumbers((1, 2, 3), 0)


def test_patterns_go_before_what_is_excluded() -> None:
    given = gc.matrix_dimension_numbers(
        {"lm_head/.*": "matrix", ".*/qkv/kernel": "qkv", ".*/query/.*": None}
    )
    numbers = given(MODEL)
    assert numbers["lm_head"]["kernel"] == gc.MuonDimensionNumbers()
    assert numbers["embed"]["embedding"] is None
    assert numbers["block_0"]["qkv"]["kernel"].output_splits == 3
    assert numbers["block_0"]["query"]["kernel"] is None
    assert pickle.loads(pickle.dumps(given)) == given
    assert eval(repr(given), vars(gc)) == given
    tx = gc.muon(0.1, muon_weight_dimension_numbers=given)
    assert gc.from_config(gc.to_config(tx)) == tx


def test_heads_and_fused_queries_are_matrices_of_their_own() -> None:
    rng = np.random.default_rng(0)
    parts = [jnp.asarray(rng.normal(size=(6, 4)), jnp.float32) for _ in range(3)]
    alone = gc.scale_by_muon()
    expected = [alone.update({"w": x}, alone.init({"w": x}))[0]["w"] for x in parts]
    for layout, join, cut in (
        ("qkv", lambda xs: jnp.concatenate(xs, 1), lambda y: jnp.split(y, 3, 1)),
        ("heads_in", lambda xs: jnp.stack(xs, 1), lambda y: [y[:, i] for i in range(3)]),
        ("heads_out", lambda xs: jnp.stack(xs, 0), list),
        (
            "qkv_transposed",
            lambda xs: jnp.concatenate([x.T for x in xs]),
            lambda y: [z.T for z in jnp.split(y, 3)],
        ),
    ):
        g = {"w": join(parts)}
        tx = gc.scale_by_muon(weight_dimension_numbers=gc.matrix_dimension_numbers({"w": layout}))
        check_close(cut(tx.update(g, tx.init(g))[0]["w"]), expected, 1e-5)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ("flux", "expected a library, .*Did you mean 'flax'"),
        ({".*": "head_in"}, "the layout of '.*' must be one of .*Did you mean 'heads_in'"),
        ({"nothing": "matrix"}, "the pattern 'nothing' matches no parameter"),
        ({".*bias": "heads_in"}, "'block_0/qkv/bias' has 1 axes, and the layout 'heads_in' needs 3"),
        ({".*out/kernel": gc.MuonDimensionNumbers(0, 5)}, "name an axis that it lacks"),
        (
            {".*out/kernel": gc.MuonDimensionNumbers(1, 2, 2)},
            "a matrix of 3 x 6, which .* cannot split evenly",
        ),
    ],
)
def test_dimension_numbers_that_do_not_fit_are_named(rules: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        gc.muon(0.1, muon_weight_dimension_numbers=gc.matrix_dimension_numbers(rules)).init(MODEL)


def test_labels_go_by_rank_name_and_size() -> None:
    labels = gc.matrix_labels("soap", "adam")(MODEL)
    assert labels["block_0"]["qkv"] == {"kernel": "soap", "bias": "adam"}
    assert labels["embed"]["embedding"] == labels["lm_head"]["kernel"] == "adam"
    assert labels["block_0"]["Conv_0"]["kernel"] == "adam"
    assert gc.matrix_labels(exclude=None)(MODEL)["lm_head"]["kernel"] == "matrix"
    assert gc.matrix_labels(max_size=17)(MODEL)["block_0"]["qkv"]["kernel"] == "rest"
    assert gc.matrix_labels(min_size=7)(MODEL)["block_0"]["qkv"]["kernel"] == "rest"
    by_layer = gc.matrix_labels(weight_dimension_numbers=gc.matrix_dimension_numbers("flax"))(MODEL)
    assert by_layer["block_0"]["Conv_0"]["kernel"] == "matrix"
    with pytest.raises(ValueError, match="max_size must be at least min_size, 4, received 3"):
        gc.matrix_labels(min_size=4, max_size=3)
    tx = gc.partition({"soap": gc.soap(), "adam": gc.adamw(1e-3)}, gc.matrix_labels("soap", "adam"))
    u, _ = tx.update(MODEL, tx.init(MODEL), MODEL)
    assert jax.tree.map(jnp.shape, u) == jax.tree.map(jnp.shape, MODEL)


# Attention heads


def test_heads_whose_logits_are_large_are_scaled_down() -> None:
    p = {"query": jnp.ones((4, 2, 3)), "w": jnp.ones((4, 4))}
    tx = gc.chain(gc.sgd(0.5), gc.scale_heads({"query": 1}))
    scales = gc.qk_clip_scales({"query": jnp.asarray([50.0, 400.0])}, 100.0)
    np.testing.assert_allclose(scales["query"], [1.0, 0.5])
    new, _ = tx.step(p, tx.init(p), p, head_scales=scales)
    np.testing.assert_allclose(new["query"][:, 0], 0.5)
    np.testing.assert_allclose(new["query"][:, 1], 0.25)
    np.testing.assert_allclose(new["w"], 0.5)
    same, _ = tx.step(p, tx.init(p), p)
    np.testing.assert_allclose(same["query"], 0.5)
    with pytest.raises(ValueError, match="has 'w', which is no parameter that a pattern matches"):
        tx.step(p, tx.init(p), p, head_scales={"w": jnp.ones(4)})
    with pytest.raises(
        ValueError, match=r"have shape \(3,\); expected \(2,\), one for each entry of axis 1"
    ):
        tx.step(p, tx.init(p), p, head_scales={"query": jnp.ones(3)})
    with pytest.raises(ValueError, match="scale_heads needs the parameters"):
        gc.scale_heads({"query": 1}).update(p, gc.EmptyState(), head_scales=scales)
