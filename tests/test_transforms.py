"""What the links and wrappers do that Optax's do not: each a fault or an unmet wish, mended."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from devices import eight
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from trees import check_close, gradients, params, run, wide

import gradchain as gc


def counting(calls: list) -> gc.GradientTransformation:
    """A transformation that notes, at run time, that it ran."""

    def update(updates, state, params=None):
        jax.debug.callback(lambda: calls.append(1))
        return jax.tree.map(lambda u: -u, updates), state + 1

    return gc.GradientTransformation(lambda p: jnp.zeros([], jnp.int32), update)


class TestAccumulation:
    def test_k_small_batches_are_one_large_batch(self) -> None:
        p = params()
        micro = [gradients(p, step) for step in range(4)]
        mean = jax.tree.map(lambda *g: sum(g) / 4, *micro)
        tx = gc.accumulate_gradients(gc.adamw(1e-2), 4)
        state = tx.init(p)
        for i, g in enumerate(micro):
            updates, state = tx.update(g, state, p)
            moved = any(bool(jnp.any(u != 0)) for u in jax.tree.leaves(updates))
            assert moved == (i == 3)
        plain = gc.adamw(1e-2)
        check_close(updates, plain.update(mean, plain.init(p), p)[0], 1e-5)
        assert (int(state.mini_step), int(state.gradient_step)) == (0, 1)

    def test_the_inner_transformation_runs_only_when_it_emits(self) -> None:
        calls: list = []
        tx = gc.accumulate_gradients(counting(calls), 3)
        p = params()
        state = tx.init(p)
        for step in range(7):
            updates, state = tx.update(gradients(p, step), state, p)
        jax.block_until_ready(updates)
        jax.effects_barrier()
        assert len(calls) == 2
        assert int(state.inner_opt_state) == 2

    def test_k_of_one_keeps_nothing_and_adds_nothing(self) -> None:
        p, tx = params(), gc.MultiSteps(gc.adam(0.1), 1)
        state = tx.init(p)
        assert state.acc_grads == ()
        plain = gc.adam(0.1)
        u, state = tx.update(gradients(p, 0), state, p)
        check_close(u, plain.update(gradients(p, 0), plain.init(p), p)[0], 0)
        assert bool(tx.has_updated(state))

    @pytest.mark.parametrize("mean", [True, False])
    @pytest.mark.parametrize("k", [1, 3, lambda step: jnp.where(step < 1, 2, 3)])
    def test_multi_steps_equals_optax(self, k, mean) -> None:
        p = params()
        ours = gc.MultiSteps(gc.adam(0.01), k, use_grad_mean=mean)
        theirs = optax.MultiSteps(optax.adam(0.01), k, use_grad_mean=mean)
        s, t = ours.init(p), theirs.init(p)
        for step in range(9):
            g = gradients(p, step)
            u, s = ours.update(g, s, p)
            with jax.numpy_dtype_promotion("standard"):
                v, t = theirs.update(g, t, p)
            check_close(u, v, 2e-6)
            assert (int(s.mini_step), int(s.gradient_step)) == (int(t.mini_step), int(t.gradient_step))
            assert bool(ours.has_updated(s)) == bool(theirs.has_updated(t))

    @pytest.mark.parametrize("skip", ["not_finite", "large"])
    def test_skipped_micro_steps_do_not_count(self, skip) -> None:
        fn = gc.skip_not_finite
        if skip == "large":
            fn = lambda u, step, p: gc.skip_large_updates(u, step, p, 1e6)  # noqa: E731
        p = {"w": jnp.ones(3)}
        tx = gc.accumulate_gradients(gc.sgd(1.0), 2, should_skip_update_fn=fn)
        state = tx.init(p)
        good, bad = {"w": jnp.ones(3)}, {"w": jnp.array([1.0, jnp.nan, 1e30])}
        for g in (good, bad, bad):
            updates, state = tx.update(g, state, p)
            check_close(updates, {"w": jnp.zeros(3)}, 0)
        assert bool(state.skip_state["should_skip"])
        updates, state = tx.update(good, state, p)
        check_close(updates, {"w": -jnp.ones(3)}, 1e-7)
        assert not bool(state.skip_state["should_skip"])

    def test_inside_shard_map_and_with_leaves_that_are_no_arrays(self) -> None:
        mesh = Mesh(np.array(eight()[:4]), ("d",))
        tx = gc.accumulate_gradients(gc.sgd(1.0, 0.9), 2)

        def two_steps(p, g):
            state = tx.init(p)
            first, state = tx.update(g, state, p)
            second, state = tx.update(g, state, p)
            return first + second

        spec = PartitionSpec("d")
        sharded = jax.shard_map if hasattr(jax, "shard_map") else jax.experimental.shard_map.shard_map
        f = jax.jit(sharded(two_steps, mesh=mesh, in_specs=(spec, spec), out_specs=spec))
        check_close(f(jnp.ones(8), jnp.ones(8)), -jnp.ones(8), 1e-7)
        model = eqx.nn.MLP(2, 2, 2, 1, key=jax.random.key(0))  # holds its activation function
        state = tx.init(model)
        grads = eqx.filter(model, eqx.is_inexact_array)
        for _ in range(2):
            updates, state = tx.update(grads, state, grads)
        check_close(jax.tree.leaves(updates), jax.tree.leaves(jax.tree.map(lambda x: -x, grads)), 1e-6)

    def test_bad_arguments(self) -> None:
        with pytest.raises(ValueError, match="at least 1, received 0"):
            gc.accumulate_gradients(gc.sgd(0.1), 0)
        tx = gc.MultiSteps(gc.sgd(0.1), 2, should_skip_update_fn=lambda u, s, p: (jnp.ones(2), ()))
        with pytest.raises(ValueError, match="boolean scalar"):
            tx.update({"w": jnp.ones(2)}, gc.MultiSteps(gc.sgd(0.1), 2).init({"w": jnp.ones(2)}))


class TestClipping:
    def test_half_precision_does_not_overflow_the_norm(self) -> None:
        g = {"w": jnp.full((1000,), 300.0, "float16")}
        updates, _ = gc.clip_by_global_norm(1.0).update(g, gc.EmptyState())
        np.testing.assert_allclose(wide(updates["w"]), 1000**-0.5, rtol=1e-3)

    @pytest.mark.parametrize("size", [1e20, 3e38, 1e-25])
    def test_gradients_of_any_size_keep_their_direction(self, size) -> None:
        unit = np.array([3.0, -4.0, 0.0, 12.0]) / 12
        g = {"a": jnp.asarray(unit[:2] * size, "float32"), "b": jnp.asarray(unit[2:] * size, "float32")}
        bound = min(2.0, size / 4)
        for update in (gc.clip_by_global_norm(bound).update, jax.jit(gc.clip_by_global_norm(bound).update)):
            updates, _ = update(g, gc.EmptyState())
            flat = np.concatenate([wide(updates["a"]), wide(updates["b"])])
            np.testing.assert_allclose(flat, unit * (12 / 13) * bound, rtol=1e-6)
        total, count = gc.per_example_global_norm_clip(
            {"w": jnp.asarray(unit * size, "float32")[None]}, bound
        )
        if size < 1e38:
            np.testing.assert_allclose(total["w"], unit * (12 / 13) * bound, rtol=1e-6)
        assert count == 1

    def test_clipped_gradients_of_integers_are_floating_point(self) -> None:
        g = {"a": jnp.array([[3, 4], [6, 8]])}
        for clip in ("per_example_global_norm_clip", "per_example_layer_norm_clip"):
            for bound in (1.0, 7.0):
                sums, counts = getattr(gc, clip)(g, bound)
                theirs, their_counts = getattr(optax, clip)({"a": g["a"].astype(float)}, bound)
                assert sums["a"].dtype == jnp.float32
                check_close(sums, theirs, 1e-6)
                check_close(counts, their_counts, 0)

    def test_zero_over_zero_is_zero(self) -> None:
        g = {"w": jnp.zeros(3)}
        updates, _ = gc.clip_by_global_norm(0.0).update(g, gc.EmptyState())
        check_close(updates, g, 0)
        updates, _ = gc.clip_by_global_norm(0.0).update({"w": jnp.ones(3)}, gc.EmptyState())
        check_close(updates, g, 0)

    @pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
    def test_a_bad_gradient_stays_the_same_bad_gradient(self, bad) -> None:
        g = {"w": jnp.array([1.0, bad]), "b": jnp.array([2.0])}
        updates, _ = gc.clip_by_global_norm(1.0).update(g, gc.EmptyState())
        np.testing.assert_array_equal(wide(updates["w"]), wide(g["w"]))
        np.testing.assert_array_equal(wide(updates["b"]), wide(g["b"]))

    def test_one_norm_serves_all_groups(self) -> None:
        p = params()
        groups = {"a": gc.clip_by_global_norm(1.0), "b": gc.clip_by_global_norm(1.0)}
        labels = {"w": "a", "deep": "b"}
        tx = gc.with_global_norm(gc.partition(groups, labels))
        g = jax.tree.map(lambda x: 3 * x, gradients(p, 0))
        updates, state = tx.update(g, tx.init(p), p)
        together, _ = gc.clip_by_global_norm(1.0).update(g, gc.EmptyState())
        check_close(updates, together, 1e-6)
        check_close(state.global_norm, gc.tree.norm(g), 1e-6)

    def test_per_example_clipping_equals_a_loop(self) -> None:
        grads = {"w": jax.random.normal(jax.random.key(0), (5, 3, 2)), "b": jnp.ones((5, 2)) * 4}
        total, count = gc.per_example_global_norm_clip(grads, 4.0)
        expected = {"w": np.zeros((3, 2)), "b": np.zeros(2)}
        clipped = 0
        for i in range(5):
            one = {k: wide(v[i]) for k, v in grads.items()}
            size = np.sqrt(sum((x**2).sum() for x in one.values()))
            clipped += size > 4
            expected = {k: expected[k] + one[k] * min(1, 4 / size) for k in one}
        check_close(total, expected, 1e-6)
        assert int(count) == clipped
        sums, counts = gc.per_example_layer_norm_clip(grads, 4.0, uniform=False)
        theirs, their_counts = optax.per_example_layer_norm_clip(grads, 4.0, uniform=False)
        check_close((sums, counts), (theirs, their_counts), 1e-6)
        with pytest.raises(ValueError, match="examples along its first axis"):
            gc.per_example_global_norm_clip({"a": jnp.ones((2, 3)), "b": jnp.ones((3, 3))}, 1.0)


class TestApplyIfFinite:
    def test_counts_rejects_gives_up_and_begins_again(self) -> None:
        calls: list = []
        tx, p = gc.apply_if_finite(counting(calls), 2), {"w": jnp.ones(2)}
        good, bad = {"w": jnp.ones(2)}, {"w": jnp.array([1.0, jnp.nan])}
        state, seen = tx.init(p), []
        for g in (good, bad, bad, bad, bad, bad, bad, good, bad, good):
            updates, state = tx.update(g, state, p)
            nan = bool(jnp.any(jnp.isnan(updates["w"])))
            seen.append((int(state.notfinite_count), nan, bool(state.last_finite)))
        assert seen == [
            (0, False, True),
            (1, False, False),
            (2, False, False),
            (0, True, False),  # given up once, then counting begins again
            (1, False, False),
            (2, False, False),
            (0, True, False),
            (0, False, True),
            (1, False, False),
            (0, False, True),
        ]
        assert int(state.total_notfinite) == 7
        jax.effects_barrier()
        assert len(calls) == int(state.inner_state) == 5  # a rejected gradient runs nothing inside

    def test_max_errors_zero_and_bad_arguments(self) -> None:
        tx, p = gc.apply_if_finite(gc.sgd(1.0), 0), {"w": jnp.ones(2)}
        updates, _ = tx.update({"w": jnp.array([jnp.nan, 1.0])}, tx.init(p), p)
        assert bool(jnp.isnan(updates["w"][0]))
        with pytest.raises(ValueError, match="at least 0"):
            gc.apply_if_finite(gc.sgd(1.0), -1)


class TestGroups:
    def test_line_search_inside_partition_sees_all_parameters(self) -> None:
        def loss(p):
            return jnp.sum((p["a"] - p["b"]) ** 2) + jnp.sum(p["b"] ** 2)

        tx = gc.partition(
            {
                "search": optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(10)),
                "rest": gc.sgd(0.1),
            },
            {"a": "search", "b": "rest"},
        )
        p = {"a": jnp.array([3.0]), "b": jnp.array([1.0])}
        state = tx.init(p)
        value, g = jax.value_and_grad(loss)(p)
        updates, state = tx.update(g, state, p, value=value, grad=g, value_fn=loss)
        moved = gc.apply_updates(p, updates)
        assert loss({"a": moved["a"], "b": p["b"]}) < value
        check_close(updates["b"], -0.1 * g["b"], 1e-6)

    def test_extra_arguments_like_the_parameters_are_split(self) -> None:
        def update(u, s, p=None, *, scale, **extra):
            return jax.tree.map(lambda a, b: a * b, u, scale), s

        by_scale = gc.GradientTransformationExtraArgs(lambda p: (), update)
        tx = gc.partition({"x": by_scale, "y": gc.identity()}, {"w": "x", "deep": "y"})
        p = params()
        updates, _ = tx.update(p, tx.init(p), p, scale=jax.tree.map(lambda x: 2 * jnp.ones_like(x), p))
        check_close(updates, {"w": 2 * p["w"], "deep": p["deep"]}, 1e-7)

    def test_wrapped_leaves(self) -> None:
        class Tiny(nnx.Module):
            def __init__(self):
                self.w = nnx.Param(jnp.ones((2, 2)))
                self.b = nnx.Param(jnp.ones(2))

        p = nnx.state(Tiny(), nnx.Param)
        labels = lambda tree: jax.tree.map(lambda x: "m" if x.ndim == 2 else "v", tree)  # noqa: E731
        tx = gc.partition({"m": gc.adam(0.1), "v": gc.sgd(0.1)}, labels)
        updates, _ = tx.update(p, tx.init(p), p)
        assert jax.tree.structure(updates) == jax.tree.structure(p)
        check_close(updates["b"][...], -0.1 * jnp.ones(2), 1e-6)

    def test_labels_that_do_not_fit_say_which_and_what_exists(self) -> None:
        p = params()
        tx = gc.partition({"adam": gc.adam(0.1), "sgd": gc.sgd(0.1)}, {"w": "adan", "deep": "sgd"})
        with pytest.raises(
            ValueError, match=r"\['w'\] has label 'adan'.*'adam', 'sgd'.*Did you mean 'adam'"
        ):
            tx.init(p)
        tx = gc.partition({"adam": gc.adam(0.1)}, {"w": "adam"})
        with pytest.raises(ValueError, match=r"\['deep'\]"):
            tx.init(p)

    def test_callable_trees_are_not_called(self) -> None:
        class Module(eqx.Module):
            w: object
            b: object

            def __call__(self, *args):
                raise AssertionError("a module was called")

        p = Module(jnp.ones((2, 2)), jnp.ones(2))
        mask, labels = Module(True, False), Module("x", "y")
        tx = gc.masked(gc.scale(-1.0), mask)
        updates, _ = tx.update(p, tx.init(p), p)
        check_close((updates.w, updates.b), (-p.w, p.b), 0)
        tx = gc.partition({"x": gc.scale(-1.0), "y": gc.set_to_zero()}, labels)
        updates, _ = tx.update(p, tx.init(p), p)
        check_close((updates.w, updates.b), (-p.w, 0 * p.b), 0)

    def test_frozen_parameters_keep_no_state(self) -> None:
        p = params()
        tx = gc.selective_transform(gc.adam(0.1), freeze_mask={"w": True, "deep": False})
        sizes = [leaf.size for leaf in jax.tree.leaves(tx.init(p))]
        assert sum(sizes) == 1 + 2 * 3  # a count, and two moments of the three entries that train
        assert jax.tree.leaves(gc.freeze({"w": True, "deep": False}).init(p)) == []
        updates, _ = tx.update(p, tx.init(p), p)
        check_close(updates["w"], jnp.zeros((3, 2)), 0)

    def test_masked_passes_the_others_through(self) -> None:
        p = params()
        updates, _ = gc.masked(gc.set_to_zero(), {"w": True, "deep": False}).update(
            p, gc.MaskedState(gc.EmptyState()), p
        )
        check_close(updates, {"w": jnp.zeros((3, 2)), "deep": p["deep"]}, 0)
        with pytest.raises(ValueError, match="mask"):
            gc.masked(gc.identity(), {"w": True}).init(p)


class TestLookahead:
    def test_plain_parameters_equal_optax_s_pairs(self) -> None:
        ours, theirs = gc.lookahead(gc.sgd(0.1), 3, 0.5), optax.lookahead(optax.sgd(0.1), 3, 0.5)
        p = params()
        pair = optax.LookaheadParams.init_synced(p)
        s, t = ours.init(p), theirs.init(pair)
        for step in range(7):
            g = gradients(p, step)
            u, s = ours.update(g, s, p)
            p = gc.apply_updates(p, u)
            with jax.numpy_dtype_promotion("standard"):
                v, t = theirs.update(g, t, pair)
                pair = optax.apply_updates(pair, v)
            check_close(p, pair.fast, 1e-5)
            check_close(s.slow_params, pair.slow, 1e-5)

    def test_optax_s_parameters_work_too(self) -> None:
        tx = gc.lookahead(gc.sgd(0.1), 2, 0.5)
        pair = gc.LookaheadParams.init_synced(params())
        state = tx.init(pair)
        for step in range(2):
            u, state = tx.update(gradients(pair.fast, step), state, pair)
            pair = gc.apply_updates(pair, u)
        check_close(pair.fast, pair.slow, 1e-6)
        assert state.slow_params == ()
        with pytest.raises(ValueError, match="at least 1"):
            gc.lookahead(gc.sgd(0.1), 0, 0.5)


class TestMonitoring:
    def test_one_call_reads_a_whole_chain(self) -> None:
        labels = {"w": "matrix", "deep": "rest"}
        measures = {"before": gc.measure_norm(), "groups": gc.measure_group_norms(labels)}
        tx = gc.with_global_norm(
            gc.chain(
                gc.monitor(measures),
                gc.clip_by_global_norm(0.1),
                gc.sgd(0.1),
                gc.monitor({"ratio": gc.measure_update_ratio()}),
                gc.snapshot("largest", lambda u: jnp.max(jnp.abs(u["w"]))),
            )
        )
        p = params()
        g = gradients(p, 0)
        updates, state = jax.jit(tx.update)(g, tx.init(p), p)
        seen = gc.tools.measurements(state)
        assert set(seen) == {"global_norm", "before", "groups", "ratio", "largest"}
        check_close(seen["before"], gc.tree.norm(g), 1e-6)
        check_close(seen["groups"]["matrix"], gc.tree.norm(g["w"]), 1e-6)
        check_close(seen["ratio"], gc.tree.norm(updates) / gc.tree.norm(p), 1e-6)
        check_close(seen["largest"], jnp.max(jnp.abs(updates["w"])), 1e-6)

    def test_the_shared_norm_is_computed_once(self) -> None:
        tx = gc.with_global_norm(
            gc.chain(gc.monitor({"n": gc.measure_norm()}), gc.clip_by_global_norm(1.0))
        )
        p = {"w": jnp.ones((3, 2))}
        text = jax.jit(tx.update).lower(p, tx.init(p), p).as_text()
        assert text.count("stablehlo.while") == 1  # each norm has one, for squares out of range

    def test_measurements_of_optax_and_the_average(self) -> None:
        size = lambda u: jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(u)))  # noqa: E731
        ours = gc.monitor({"now": size, "slow": gc.measure_with_ema(size, 0.9)})
        theirs = optax.monitor({"now": size, "slow": optax.measure_with_ema(size, 0.9)})
        p = params()
        s, t = ours.init(p), theirs.init(p)
        for step in range(5):
            _, s = ours.update(gradients(p, step), s, p)
            with jax.numpy_dtype_promotion("standard"):
                _, t = theirs.update(gradients(p, step), t, p)
        check_close(s.measurements, t.measurements, 1e-6)


class TestErrors:
    @pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32"])
    @pytest.mark.parametrize("step", ["int8", "int32", "bool"])
    def test_integers_count_exactly(self, dtype, step) -> None:
        top = np.iinfo(dtype).max
        p = {"n": jnp.array([5, top - 1], dtype), "big": jnp.int32(2**24 + 1)}
        u = {"n": jnp.array([1, 1], step), "big": jnp.int32(2)}
        for apply in (gc.apply_updates, jax.jit(gc.apply_updates)):
            new = apply(p, u)
            assert new["n"].dtype == dtype
            assert new["n"].tolist() == [6, top]
            assert new["big"] == 2**24 + 3  # not in float32
        if step != "bool":
            down = gc.apply_updates(p["n"], jnp.array([-5, -1], step))
            assert down.tolist() == [0, top - 2]
        assert gc.apply_updates(3, 4) == 7

    def test_a_flag_takes_no_step(self) -> None:
        p = {"f": jnp.array([True, False])}
        for u in (jnp.array([True, True]), jnp.array([1, 1]), jnp.ones(2)):
            with pytest.raises(TypeError, match=r"apply_updates: .*\['f'\] has dtype bool.*Give None"):
                gc.apply_updates(p, {"f": u})
        assert gc.apply_updates(p, {"f": None}) == p

    def test_integer_parameters_are_not_truncated(self) -> None:
        p = {"w": jnp.ones(2), "n": jnp.arange(3)}
        with pytest.raises(TypeError, match=r"\['n'\] has dtype int32.*truncated"):
            gc.apply_updates(p, {"w": jnp.ones(2), "n": jnp.ones(3)})
        kept = gc.apply_updates(p, {"w": jnp.ones(2), "n": None})
        check_close(kept, {"w": 2 * jnp.ones(2), "n": jnp.arange(3)}, 0)
        with pytest.raises(ValueError, match=r"gradient \['n'\] has dtype int32; expected floating"):
            gc.adam(0.1).update(p, gc.adam(0.1).init(p))

    def test_float0_gradients_leave_integers_alone(self) -> None:
        p = {"w": jnp.ones(2), "n": jnp.arange(3)}
        g = jax.grad(lambda p: jnp.sum(p["w"] * 2), allow_int=True)(p)
        tx = gc.adam(0.1)
        updates, _ = tx.update(g, tx.init(p), p)
        check_close(gc.apply_updates(p, updates)["n"], jnp.arange(3), 0)

    def test_hyperparameters_out_of_range(self) -> None:
        with pytest.raises(ValueError, match=r"adam: b1 must be in \[0, 1\), received 1.5"):
            gc.adam(0.1, b1=1.5)
        with pytest.raises(ValueError, match="learning_rate must be finite, received nan"):
            gc.sgd(float("nan"))
        with pytest.raises(TypeError, match="eps must be a number, an array or a schedule"):
            gc.adam(0.1, eps="small")
        with pytest.raises(TypeError, match=r"adam: got an unexpected keyword argument 'beta'"):
            gc.adam(0.1, beta=0.9)

    def test_a_factory_is_not_a_transformation(self) -> None:
        with pytest.raises(TypeError, match=r"chain: argument 1: .*Call it: adam\(\.\.\.\)"):
            gc.chain(gc.clip(1.0), gc.adam)
        with pytest.raises(ValueError, match="tuple of 2 states"):
            gc.chain(gc.clip(1.0), gc.sgd(0.1)).update({}, ())


class TestSchedulesForNumbers:
    def test_a_rule_reads_its_schedule_at_the_count(self) -> None:
        p = params()
        momentum = gc.linear_schedule(0.5, 0.9, 4)
        tx, traces = gc.adam(0.1, b1=momentum), []
        state = tx.init(p)

        @jax.jit
        def step(g, state):
            traces.append(1)
            return tx.update(g, state)

        for t in range(3):
            plain = gc.adam(0.1, b1=float(momentum(t)))
            expected, _ = plain.update(gradients(p, t), state, p)
            updates, state = step(gradients(p, t), state)
            check_close(updates, expected, 1e-6)
        assert len(traces) == 1
        assert eval(repr(tx), dict(vars(gc))) == tx

    def test_a_rule_without_a_count_says_so(self) -> None:
        with pytest.raises(TypeError, match="inject_hyperparams"):
            gc.scale_by_rms(decay=gc.constant_schedule(0.9)).init(params())


def test_rms_momentum_and_bias_correction_by_hand_equal_adam() -> None:
    b1, b2, eps, rate = 0.9, 0.999, 1e-8, 0.05
    by_hand = gc.chain(gc.stateless(lambda u, p: u), gc.scale_by_learning_rate(rate))

    class Both:
        """The averaged gradient over the root of the averaged square, each link on its own."""

        momentum, square = gc.ema(b1), gc.ema(b2)

    p = params()
    adam = gc.adam(rate)
    state, mu, nu = adam.init(p), Both.momentum.init(p), Both.square.init(p)
    for step in range(5):
        g = gradients(p, step)
        m, mu = Both.momentum.update(g, mu)
        v, nu = Both.square.update(jax.tree.map(jnp.square, g), nu)
        scaled = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), m, v)
        ours, _ = by_hand.update(scaled, by_hand.init(p))
        expected, state = adam.update(g, state)
        check_close(ours, expected, 1e-5)


def test_a_run_can_be_compared_by_value() -> None:
    a, b, traces = gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(3e-4)), None, []
    b = gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(3e-4))

    @jax.jit
    def step(tx, p):
        traces.append(1)
        return run(gc, tx, p, 1)[2]

    for tx in (a, b, eval(repr(a), dict(vars(gc)))):
        step(tx, params())
    assert repr(a) == "chain(clip_by_global_norm(max_norm=1.0), adamw(learning_rate=0.0003))"
    assert len(traces) == 1
