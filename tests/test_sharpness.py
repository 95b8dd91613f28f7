"""Hyperball, MARS, Scion, SAM's relatives, SPSA and MeZO: closed forms, packages, errors."""

import itertools
import json
import runpy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import along_steps
from trees import check_close, enable_x64, gradients, params, worst

import gradchain as gc

FOLDER = Path(__file__).parent / "references"
CLOSURES = json.loads((FOLDER / "closures_sharpness.json").read_text())
SAMS = {case["name"]: case for case in CLOSURES["cases"]}
BOWL = {"w": jnp.asarray([[1.0, -2.0], [0.5, 3.0]]), "b": jnp.asarray([0.3, -0.7])}


def run(tx: Any, steps: int = 6, scale: float = 1.0) -> Any:
    """The parameters after some steps, and the state."""
    p = params()
    state, step = tx.init(p), jax.jit(tx.step)
    for t in range(steps):
        p, state = step(gradients(p, t, scale), state, p)
    return p, state


def quartic(p: Any) -> Any:
    """A loss that is curved, of which the noise of two values is no straight line."""
    return sum(jnp.sum(x**2 + 0.1 * x**4) for x in jax.tree.leaves(p))


class TestHyperball:
    @pytest.mark.parametrize("inner", [gc.muon(1.0), gc.adamw(1.0), gc.sgd(1e-3, 0.9)], ids=repr)
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_matrices_keep_their_norm(self, inner: Any, dtype: str) -> None:
        p = {"w": jnp.asarray(np.random.default_rng(0).normal(size=(16, 8)), dtype)}
        for keep in ("initial", "current"):
            tx, q = gc.hyperball(inner, 0.1, keep=keep), p
            state, step = tx.init(q), jax.jit(tx.step)
            for t in range(20):
                q, state = step(gradients(q, t), state, q)
            old, new = (np.linalg.norm(np.asarray(x["w"], np.float64)) for x in (p, q))
            assert abs(new / old - 1) < (2e-6 if dtype == "float32" else 5e-3)
            assert worst(q, p) > 0.1

    def test_the_length_of_a_step_is_the_angle(self) -> None:
        p = {"w": jnp.asarray([[3.0, 0.0], [0.0, 0.0]])}
        g = {"w": jnp.asarray([[0.0, 1e3], [0.0, 0.0]])}  # at a right angle
        for inner in (gc.sgd(1.0), gc.sgd(1e-6)):
            tx = gc.hyperball(inner, 0.5)
            moved, _ = tx.step(g, tx.init(p), p)
            np.testing.assert_allclose(moved["w"][0], 3 * np.array([1, -0.5]) / np.sqrt(1.25), rtol=1e-6)

    def test_stacked_layers_are_as_single_ones(self) -> None:
        rng = np.random.default_rng(1)
        stack = {"w": jnp.asarray(rng.normal(size=(3, 4, 2)) * [[[1.0]], [[5.0]], [[0.1]]], jnp.float32)}
        single = {str(i): stack["w"][i] for i in range(3)}
        for batch_axes in (1, {"w": 1}, {".*": 1}, lambda p: jax.tree.map(lambda x: x.ndim - 2, p)):
            many = gc.hyperball(gc.sgd(0.1), 0.2, batch_axes=batch_axes, keep="initial")
            one = gc.hyperball(gc.sgd(0.1), 0.2)
            g = gradients(stack, 0)
            new, state = many.step(g, many.init(stack), stack)
            apart, _ = one.step({str(i): g["w"][i] for i in range(3)}, one.init(single), single)
            assert state.norms["w"].shape == (3,)
            for i in range(3):
                np.testing.assert_allclose(new["w"][i], apart[str(i)], rtol=1e-5)

    def test_the_initial_norm_is_returned_to(self) -> None:
        p = {"w": jnp.ones((2, 2))}
        g = {"w": jnp.asarray([[1.0, 0.0], [0.0, -1.0]])}
        for keep, size in (("initial", 2.0), ("current", 20.0)):
            tx = gc.hyperball(gc.sgd(1.0), 0.1, keep=keep)
            moved, _ = tx.step(g, tx.init(p), {"w": 10 * p["w"]})
            assert float(jnp.linalg.norm(moved["w"])) == pytest.approx(size, rel=1e-6)

    def test_others_take_the_steps_of_the_optimizer_inside(self) -> None:
        schedule = gc.linear_schedule(0.5, 0.0, 2)
        tx = gc.hyperball(gc.sgd(0.1), schedule, lambda p: jax.tree.map(lambda x: x.ndim == 1, p))
        p, state = run(tx, 1)
        plain, _ = run(gc.sgd(0.1), 1)
        check_close(p["w"], plain["w"], 1e-7)
        assert worst(p["deep"][0], plain["deep"][0]) > 0.01
        p2, _ = tx.step(gradients(p, 1), state._replace(count=jnp.int32(2)), p)
        check_close(p2["deep"][0], p["deep"][0], 1e-6)  # the schedule is 0 there

    def test_mistakes_are_told(self) -> None:
        with pytest.raises(ValueError, match=r"received 'inital'\. Did you mean 'initial'"):
            gc.hyperball(gc.sgd(0.1), 0.1, keep="inital")
        with pytest.raises(ValueError, match=r"\['w'\] has shape \(3, 2\); expected more axes than the 2"):
            run(gc.hyperball(gc.sgd(0.1), 0.1, batch_axes=2), 1)
        with pytest.raises(ValueError, match="mask must be one value, a tree of them"):
            run(gc.hyperball(gc.sgd(0.1), 0.1, (True, False, True)), 1)


class TestMars:
    def test_without_correction_is_adamw_on_clipped_gradients(self) -> None:
        plain = gc.adamw(0.1, 0.95, 0.99, weight_decay=0.1)
        tx = gc.mars(0.1, gamma=0.0, weight_decay=0.1, optimize_1d=True)
        clipped = gc.chain(gc.stateless_with_tree_map(clip_to_one), plain)
        check_close(run(tx)[0], run(clipped)[0], 1e-5)
        assert worst(run(tx)[0], run(plain)[0]) > 1e-3

    def test_vectors_take_adamw(self) -> None:
        tx, rest = gc.mars(0.1, adam_learning_rate=0.2), gc.adamw(0.2, 0.9, 0.95, weight_decay=0.1)
        check_close(run(tx)[0]["deep"], run(rest)[0]["deep"], 1e-6)
        assert worst(run(tx)[0]["w"], run(rest)[0]["w"]) > 1e-2

    def test_the_first_step_of_shampoo_is_muons(self) -> None:
        muon = gc.muon(0.1, beta=0.95, nesterov=False)
        check_close(run(gc.mars(0.1, form="shampoo"), 1)[0]["w"], run(muon, 1)[0]["w"], 1e-4)

    def test_unknown_forms_are_told(self) -> None:
        for factory in (lambda form: gc.mars(0.1, form=form), lambda form: gc.scale_by_mars(form=form)):
            with pytest.raises(ValueError, match=r"form must be one of .* Did you mean 'adamw'"):
                factory("adam")


def clip_to_one(g: Any, p: Any) -> Any:
    """A gradient of norm 1 at most."""
    return g / jnp.maximum(1.0, jnp.linalg.norm(g))


class TestScion:
    def test_unconstrained_spectral_is_muon(self) -> None:
        tx = gc.scion(0.1, 0.05, unconstrained=True)
        muon = gc.muon(0.1, beta=0.95, nesterov=False)
        scale = (2 / 3) ** 0.5  # of outputs over inputs; Muon's factor is 1 here
        p = params()["w"]
        ours, theirs = run(tx, 1)[0]["w"] - p, run(muon, 1)[0]["w"] - p
        check_close(ours, scale * theirs, 1e-4)

    @pytest.mark.parametrize(
        ("norm", "size"),
        [
            ("row", lambda w: jnp.max(jnp.linalg.norm(w, axis=0)) * np.sqrt(6)),
            ("column", lambda w: jnp.max(jnp.linalg.norm(w, axis=1)) / np.sqrt(4)),
            ("sign", lambda w: jnp.max(jnp.abs(w)) * 6),
            ("bias_rms", lambda w: jnp.max(jnp.sqrt(jnp.mean(w**2, axis=1)))),
        ],
    )
    def test_iterates_stay_in_the_ball(self, norm: str, size: Any) -> None:
        p = {"w": jnp.zeros((6, 4))}
        tx = gc.scion(0.3, 0.5, norm, radii=2.0)
        state = tx.init(p)
        for t in range(20):
            p, state = tx.step(gradients(p, t), state, p)
            assert float(size(p["w"])) <= 2.0 * (1 + 1e-5)
        p, _ = tx.step(gradients(p, 0), state, {"w": jnp.zeros((6, 4))})
        assert float(size(p["w"])) == pytest.approx(0.3 * 2.0, rel=1e-5)  # from the middle to its edge

    def test_a_convolution_is_one_matrix(self) -> None:
        kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype("float32")
        tx = gc.scale_by_scion()
        u, _ = tx.update({"k": jnp.asarray(kernel)}, tx.init({"k": kernel}))
        flat, _ = tx.update({"k": jnp.asarray(kernel.reshape(18, 4))}, tx.init({"k": kernel}))
        factor = (4 / 2) ** 0.5 / 9 / (4 / 18) ** 0.5
        check_close(u["k"].reshape(18, 4), factor * flat["k"], 1e-4)
        stack, _ = gc.scale_by_scion("spectral").update({"k": jnp.asarray(kernel)}, tx.init(None))
        one, _ = tx.update({"k": jnp.asarray(kernel[1, 2])}, tx.init(None))
        check_close(stack["k"][1, 2], one["k"], 1e-4)

    def test_each_parameter_chooses(self) -> None:
        g = gradients(params(), 0)
        patterns = {"deep/0/b": "sign", "w": "column"}
        tree = {"w": "column", "deep": ({"b": "sign"}, ["auto"])}
        radii = {"deep/.*": 3.0}
        given = [gc.scale_by_scion(norm, radii=radii) for norm in (patterns, tree, lambda p: tree)]
        first, *others = [tx.update(g, tx.init(g))[0] for tx in given]
        for other in others:
            check_close(first, other, 0)
        b = first["deep"][0]["b"]
        np.testing.assert_allclose(b, 3 * jnp.sign(g["deep"][0]["b"]), rtol=1e-6)

    def test_mistakes_are_told(self) -> None:
        with pytest.raises(ValueError, match=r"received 'spectrall'\. Did you mean 'spectral'"):
            gc.scion(0.1, norm="spectrall")
        with pytest.raises(
            ValueError, match=r"the norm of \['w'\] must be one of .* received 'rows'. Did you"
        ):
            run(gc.scion(0.1, norm={"w": "rows", "deep": "auto"}), 1)
        with pytest.raises(
            ValueError, match=r"\['b'\] has shape \(2,\), but its norm 'row' needs two axes"
        ):
            run(gc.scion(0.1, norm="row"), 1)
        with pytest.raises(ValueError, match="pattern 'wrong' of norm matches no parameter"):
            run(gc.scion(0.1, norm={"wrong": "row"}), 1)
        with pytest.raises(
            ValueError, match=r"radius of \['w'\] must be a number more than 0, received -1"
        ):
            run(gc.scion(0.1, radii={"w": -1.0}), 1)
        with pytest.raises(ValueError, match=r"momentum must be in \(0, 1\], received 0"):
            gc.scion(0.1, momentum=0.0)


def opaque_and_transparent(tree: Any, gradient: Any, steps: int, make: Any) -> list[Any]:
    """The trajectories of a relative of SAM by whole periods, and by single gradients."""
    whole = make(opaque_mode=True)
    p, state, ours = tree, whole.init(tree), []
    for t in range(steps):
        p, state = whole.step(gradient(p, t), state, p, grad_fn=lambda q, i, t=t: gradient(q, t))
        ours.append(jax.tree.leaves(p))
    single = make()
    p, state, t, others = tree, single.init(tree), 0, []
    step = jax.jit(single.step)
    while t < steps:
        p, state = step(gradient(p, t), state, p)
        if int(state.steps_since_sync) == 0:
            others.append(jax.tree.leaves(p))
            t += 1
    return [along_steps(ours), along_steps(others)]


class TestSam:
    @pytest.mark.parametrize("name", SAMS)
    def test_takes_the_steps_of_the_package(self, name: str) -> None:
        case = SAMS[name]
        with enable_x64():
            for names, run in zip(case["arrays"], case["trajectories"], strict=True):
                start = {k: jnp.asarray(np.asarray(CLOSURES["params"][k], np.float64)) for k in names}

                def gradient(q: Any, t: int) -> Any:
                    given = CLOSURES["grads"][t]
                    return {k: np.asarray(given[k]) + jnp.sin(3 * x) for k, x in q.items()}

                pair = eval(case["gradchain"], dict(vars(gc)))
                expected = along_steps(
                    [[np.asarray(step[k], np.float64) for k in sorted(step)] for step in run]
                )
                for ours in opaque_and_transparent(start, gradient, len(run), pair.replace):
                    assert worst(ours, expected) <= 3e-7  # the package takes the gradient's norm in float32

    def test_the_file_holds_what_its_script_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(FOLDER))
        script = runpy.run_path(str(FOLDER / "make_closures_sharpness.py"))
        written = [{k: v for k, v in case.items() if k != "trajectories"} for case in SAMS.values()]
        assert written == script["CASES"]

    @pytest.mark.parametrize("factory", [gc.asam, gc.gsam, gc.looksam])
    def test_with_no_radius_it_is_the_optimizer(self, factory: Any) -> None:
        more = {"alpha": 0.0} if factory is gc.looksam else {}
        for inner in (gc.sgd(0.1, 0.9), gc.adam(0.1)):
            tx = factory(inner, rho=0.0, opaque_mode=True, **more)
            p = q = BOWL
            state, plain = tx.init(p), inner.init(q)
            for _ in range(4):
                p, state = tx.step(
                    jax.grad(quartic)(p), state, p, grad_fn=lambda x, i: jax.grad(quartic)(x)
                )
                q, plain = inner.step(jax.grad(quartic)(q), plain, q)
            check_close(p, q, 1e-5)

    def test_gsam_without_alpha_and_looksam_with_k_1_are_sam(self) -> None:
        sam = gc.sam(gc.sgd(0.1), gc.chain(gc.normalize(), gc.sgd(0.3)))
        expected = run(sam, 6)[0]
        for tx in (gc.gsam(gc.sgd(0.1), 0.3, 0.0), gc.looksam(gc.sgd(0.1), 0.3, 1)):
            check_close(run(tx, 6)[0], expected, 1e-5)
        assert worst(run(gc.gsam(gc.sgd(0.1), 0.3, 0.5), 6)[0], expected) > 1e-3

    def test_asam_does_not_see_the_scale_of_weights(self) -> None:
        """Two layers, one times 10 and the other by 10: the same function, the same way uphill."""

        def climbed(scale: float) -> Any:
            p = {"v": jnp.asarray([[2.0]]) * scale, "w": jnp.asarray([[3.0]]) / scale}
            tx = gc.asam(gc.sgd(0.1), 0.5, 0.0)
            up, _ = tx.step(jax.grad(lambda p: jnp.sum(p["v"] * p["w"]))(p), tx.init(p), p)
            return up["v"] * up["w"]

        np.testing.assert_allclose(climbed(10.0), climbed(1.0), rtol=1e-5)
        assert float(climbed(1.0)[0, 0]) > 6.5

    def test_asam_stretches_weights_only(self) -> None:
        p = {"w": jnp.asarray([[2.0]]), "b": jnp.asarray([2.0])}
        tx = gc.asam(gc.sgd(0.1), 0.1, 0.5)
        up, _ = tx.step({"w": jnp.asarray([[3.0]]), "b": jnp.asarray([4.0])}, tx.init(p), p)
        size = np.hypot(2.5 * 3, 4)  # t = 2.5 and 1
        np.testing.assert_allclose(up["w"], 2 + 0.1 * 2.5**2 * 3 / size, rtol=1e-6)
        np.testing.assert_allclose(up["b"], 2 + 0.1 * 4 / size, rtol=1e-6)

    def test_a_radius_may_follow_a_schedule(self) -> None:
        tx = gc.gsam(gc.sgd(0.0), lambda count: 0.5 / (1 + count), 0.0)
        p = {"w": jnp.asarray([3.0, 4.0])}
        state, seen = tx.init(p), []
        for _ in range(2):
            up, state = tx.step(p, state, p)
            seen.append(float(jnp.linalg.norm(up["w"] - p["w"])))
            _, state = tx.step(p, state, up)
        np.testing.assert_allclose(seen, [0.5, 0.25], rtol=1e-5)

    def test_opaque_mode_averages_over_a_mapped_axis(self) -> None:
        for factory in (gc.asam, gc.gsam, gc.looksam):
            tx = factory(gc.sgd(0.1), opaque_mode=True, batch_axis_name="batch")
            g = {"w": jnp.asarray([[1.0, 2.0], [3.0, 5.0]])}
            p = {"w": jnp.asarray([1.0, 1.0])}

            def one(g: Any, tx: Any = tx, p: Any = p) -> Any:
                mean = jax.lax.pmean(g, "batch")
                return tx.step(mean, tx.init(p), p, grad_fn=lambda q, i: jax.tree.map(jnp.add, g, q))[0]

            new = jax.vmap(one, axis_name="batch")(g)["w"]
            np.testing.assert_allclose(new[0], new[1], rtol=1e-6)

    def test_numbers_of_a_sam_are_found(self) -> None:
        """Its state has a field that Flax's has too."""
        tx = gc.sam(gc.adam(0.1), gc.sgd(0.05))
        assert gc.hyperparams(tx, tx.init(params()))["optimizer.adam.learning_rate"] == 0.1

    def test_mistakes_are_told(self) -> None:
        with pytest.raises(ValueError, match="looksam: k must be at least 1, received 0"):
            gc.looksam(gc.sgd(0.1), k=0)
        for factory in (gc.asam, gc.gsam, gc.looksam):
            tx = factory(gc.sgd(0.1), opaque_mode=True)
            with pytest.raises(TypeError, match=f"{factory.__name__} needs the extra argument grad_fn"):
                tx.update(BOWL, tx.init(BOWL), BOWL)
            with pytest.raises(ValueError, match="rho must be finite and at least 0, received -1"):
                factory(gc.sgd(0.1), rho=-1.0)


class TestWithoutGradients:
    @pytest.mark.parametrize("distribution", ["normal", "rademacher"])
    def test_the_estimate_has_the_gradient_as_its_mean(self, distribution: Any) -> None:
        tx, n = gc.scale_by_spsa(1e-2, distribution), 4000

        def estimate(seed: Any) -> Any:
            state = tx.init(BOWL)._replace(count=seed)
            return tx.update(BOWL, state, BOWL, value_fn=quartic)[0]

        found, exact = jax.jit(jax.vmap(estimate))(jnp.arange(n)), jax.grad(quartic)(BOWL)
        for name, x in found.items():
            error = np.abs(np.mean(x, 0) - np.asarray(exact[name]))
            assert np.all(error < 5 * np.std(x, 0) / np.sqrt(n) + 1e-3)
            assert np.all(np.std(x, 0) > 0.1)

    def test_samples_are_averaged(self) -> None:
        one, many = gc.scale_by_spsa(1e-2), gc.scale_by_spsa(1e-2, samples=400)
        exact = jax.grad(quartic)(BOWL)
        few, lots = (tx.update(BOWL, tx.init(BOWL), BOWL, value_fn=quartic)[0] for tx in (one, many))

        def error(u: Any) -> Any:
            return gc.tree.norm(gc.tree.sub(u, exact)) / gc.tree.norm(exact)

        assert error(lots) < 0.25  # the root of (entries - 1) / samples is 0.11
        assert error(few) > 1.0

    @pytest.mark.parametrize("name", ["mezo", "spsa"])
    def test_steps_follow_the_paper(self, name: str) -> None:
        """With the noise that one of its steps shows: a sign or a normal number for each entry."""
        with enable_x64():
            start = jax.tree.map(lambda x: x.astype("float64"), BOWL)
            gains: Any = {"mezo": (lambda k: 0.01, lambda k: 1e-3)}.get(
                name, (lambda k: 0.01 / (5 + k) ** 0.602, lambda k: 0.1 / k**0.101)
            )
            tx = gc.mezo(0.01, key=4) if name == "mezo" else gc.spsa(0.01, stability=5.0, key=4)
            p, state, step = start, tx.init(start), jax.jit(tx.step, static_argnames="value_fn")
            for k in range(1, 11):
                rate, c = (gain(k) for gain in gains)
                # A linear loss of one entry has the slope z there: u = z times that, for all entries
                first = lambda q: q["b"][0]  # noqa: E731
                u, _ = tx.links[0].update(p, state[0], p, value_fn=first)
                b = u["b"][0]
                z = jax.tree.map(lambda x, b=b: x / jnp.sqrt(b), u)  # up to its sign, which cancels
                ahead, behind = (
                    quartic(jax.tree.map(lambda x, d, a=s * c: x + a * d, p, z)) for s in (1, -1)
                )
                slope = (ahead - behind) / (2 * c)
                expected = jax.tree.map(lambda x, d, a=rate * slope: x - a * d, p, z)
                p, state = step(p, state, p, value_fn=quartic)
                check_close(p, expected, 1e-9)
            assert quartic(p) < quartic(start)

    @pytest.mark.parametrize("tx", [gc.mezo(1e-2, key=2), gc.spsa(0.1, key=2)], ids=["mezo", "spsa"])
    def test_it_goes_downhill(self, tx: Any) -> None:
        def step(carry: Any, _: Any) -> Any:
            return tx.step(carry[0], carry[1], carry[0], value_fn=quartic), None

        (p, state), _ = jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), length=400))(BOWL)
        assert float(quartic(p)) < 0.1 * float(quartic(BOWL))
        assert int(gc.step_count(state)) == 400

    def test_gradients_are_not_read_and_extra_arguments_reach_the_loss(self) -> None:
        tx = gc.mezo(0.1)
        state = tx.init(BOWL)
        nan = jax.tree.map(lambda x: x * jnp.nan, BOWL)
        u, _ = tx.update(nan, state, BOWL, value_fn=lambda p, batch: batch * quartic(p), batch=2.0)
        once, _ = tx.update(BOWL, state, BOWL, value_fn=quartic)
        check_close(u, jax.tree.map(lambda x: 2 * x, once), 1e-3)

    def test_a_part_of_the_parameters_is_tuned(self) -> None:
        """The loss sees all of them, and the others stay."""
        tuned = gc.mezo(0.01, key=3)
        parts = gc.partition({"tuned": tuned, "fixed": gc.set_to_zero()}, {"b": "tuned", "w": "fixed"})
        new, _ = parts.step(BOWL, parts.init(BOWL), BOWL, value_fn=lambda p: quartic(p) * p["w"][0, 0])
        check_close(new["w"], BOWL["w"], 0)
        alone = {"b": BOWL["b"]}
        expected, _ = tuned.step(alone, tuned.init(alone), alone, value_fn=quartic)
        check_close(new["b"], expected["b"], 1e-3)
        with_none = {"b": BOWL["b"], "w": None}
        same, _ = tuned.step(with_none, tuned.init(BOWL), BOWL, value_fn=quartic)
        check_close(same["b"], expected["b"], 1e-3)
        check_close(same["w"], BOWL["w"], 0)

    @pytest.mark.parametrize("tx", [gc.mezo(1e-3), gc.spsa(1e-3), gc.mezo(1e-3, samples=3)], ids=repr)
    def test_a_step_needs_one_copy_of_the_parameters(self, tx: Any) -> None:
        layers = {str(i): jnp.ones((256, 256)) for i in range(16)}

        def loss(p: Any) -> Any:
            h = jnp.ones((4, 256))
            for w in p.values():
                h = jnp.tanh(h @ w / 16)
            return jnp.sum(h**2)

        step = jax.jit(lambda p, s: tx.step(p, s, p, value_fn=loss), donate_argnums=(0, 1))
        memory = step.lower(layers, tx.init(layers)).compile().memory_analysis()
        assert memory.temp_size_in_bytes <= 1.1 * sum(x.nbytes for x in layers.values())
        assert gc.memory(tx, layers).total < 100

    def test_mistakes_are_told(self) -> None:
        with pytest.raises(ValueError, match=r"distribution must be one of .* Did you mean 'normal'"):
            gc.scale_by_spsa(distribution="norm")
        with pytest.raises(ValueError, match="samples must be at least 1, received 0"):
            gc.mezo(0.1, samples=0)
        for factory in (gc.mezo, gc.spsa):
            tx = factory(0.1)
            with pytest.raises(TypeError, match=f"{factory.__name__} needs the extra argument value_fn"):
                tx.update(BOWL, tx.init(BOWL), BOWL)


@pytest.mark.parametrize(
    "tx",
    [
        gc.mezo(0.01),
        gc.spsa(0.1),
        gc.asam(gc.sgd(0.05), 0.05, opaque_mode=True),
        gc.gsam(gc.sgd(0.05), opaque_mode=True),
        gc.looksam(gc.sgd(0.05), opaque_mode=True),
    ],
    ids=repr,
)
def test_one_training_step_serves_all(tx: Any) -> None:
    """It hands `value_fn` and `grad_fn` to what asks for them."""
    found = gc.tools.minimize(quartic, BOWL, tx, max_steps=200)
    assert float(quartic(found.params)) < 0.1 * float(quartic(BOWL))


def test_papers_are_cited() -> None:
    every = gc.chain(
        gc.hyperball(gc.sgd(0.1), 0.1), gc.asam(gc.sgd(0.1)), gc.gsam(gc.sgd(0.1)), gc.looksam(gc.sgd(0.1))
    )
    text = gc.cite(every) + "".join(gc.cite(f(0.1)) for f in (gc.mars, gc.scion, gc.mezo, gc.spsa))
    ids = ["2509.02046", "2102.11600", "2203.08065", "2203.02714", "2411.10438", "2502.07529", "2305.17333"]
    for word in itertools.chain(ids, ["Spall"]):
        assert word in text
