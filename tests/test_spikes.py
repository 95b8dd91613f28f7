"""What withstands spikes: steps left out, gradients clipped by what is usual, moments begun anew."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from trees import enable_x64, gradients, params, worst

import gradchain as gc
from gradchain.core.norms import norm_in_one_pass
from gradchain.precision.moment_slots import moments_in

ONE = {"w": jnp.ones(4)}
"""Parameters, and a gradient whose norm is 2."""


def times(factor: float) -> Any:
    """A gradient of norm `factor`."""
    return {"w": jnp.full(4, factor / 2, jnp.float32)}


def after(tx: Any, norms: Any, losses: Any = None, p: Any = ONE) -> tuple[list[Any], Any]:
    """The updates, and the state, after gradients of these norms and losses."""
    state, updates, update = tx.init(p), [], jax.jit(tx.update)
    for i, size in enumerate(norms):
        extra = {} if losses is None else {"value": jnp.float32(losses[i])}
        u, state = update(times(size), state, p, **extra)
        updates.append(u)
    return updates, state


def measured(state: Any) -> dict[str, float]:
    """What the states tell, as Python numbers."""
    return {k: float(v) for k, v in gc.tools.measurements(state).items()}


class TestSkipOutliers:
    @pytest.mark.parametrize("mean", [0.0, 3.0, 1e4, -1e6])
    def test_scores_are_those_of_the_last_values_without_cancellation(self, mean: float) -> None:
        rng = np.random.default_rng(0)
        losses = np.float32(mean + rng.normal(size=23))
        norms = np.float32(abs(mean) + 5 + rng.normal(size=23))
        tx = gc.skip_outliers(gc.sgd(0.1), 8, 1e6)
        _, state = after(tx, norms, losses)
        found = measured(state)
        for name, values in {"loss_z": losses, "norm_z": np.float64(norms)}.items():
            last = np.float64(values[-9:-1])
            z = (np.float64(values[-1]) - last.mean()) / last.std(ddof=1)
            rounding = 4 * np.finfo(np.float32).eps * abs(mean) / last.std(ddof=1)
            assert abs(found[name] - z) <= 2e-5 * abs(z) + rounding, name

    def test_an_outlier_touches_nothing_and_is_counted(self) -> None:
        tx = gc.skip_outliers(gc.adamw(0.1), 8, 4.0)
        norms, losses = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95], [2.0, 2.1, 1.9, 2.0, 2.05, 1.95]
        _, before = after(tx, norms, losses)
        for size, loss in [(100.0, 2.0), (1.0, 50.0), (100.0, 50.0)]:
            for u, now in [
                tx.update(times(size), before, ONE, value=loss),
                tx.step(times(size), before, ONE, value=loss),
            ]:
                assert float(jnp.max(jnp.abs(u["w"]))) in (0.0, 1.0)  # no update; the old parameters
                assert worst(now.inner_state, before.inner_state) == 0
                assert measured(now)["outliers_skipped"] == 1
                assert measured(now)["outlier"] == 1
                assert (measured(now)["norm_z"] > 4) == (size > 1)
                assert (measured(now)["loss_z"] > 4) == (loss > 2)
                assert int(now.norms_seen) == int(now.losses_seen) == 7  # recorded
        u, now = tx.update(times(1.0), now, ONE, value=2.0)
        assert float(jnp.max(u["w"])) < 0
        assert (measured(now)["outlier"], measured(now)["outliers_skipped"]) == (0, 1)

    def test_less_than_usual_is_no_outlier(self) -> None:
        norms, losses = [1.0, 1.1, 0.9, 1.0, 1e-6], [2.0, 2.1, 1.9, 2.0, -1e6]
        assert measured(after(gc.skip_outliers(gc.sgd(0.1), 4), norms, losses)[1])["outliers_skipped"] == 0

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_left_out_and_not_recorded(self, bad: float) -> None:
        tx = gc.skip_outliers(gc.adam(0.1), 8)
        fresh = tx.init(ONE)  # even before there is a history
        for g, loss in [(times(1.0), bad), (times(bad), 2.0)]:
            u, state = tx.update(g, fresh, ONE, value=loss)
            assert worst(u, times(0.0)) == 0
            told = measured(state)
            assert told["outliers_skipped"] == 1
            assert np.isinf(told["loss_z" if np.isfinite(g["w"][0]) else "norm_z"])
            assert worst(state._replace(skipped=fresh.skipped, outlier=fresh.outlier, loss_z=fresh.loss_z,
                                        norm_z=fresh.norm_z), fresh) == 0  # fmt: skip

    @pytest.mark.parametrize(("window", "threshold"), [(128, 6.0), (64, 3.0), (16, 2.0)])
    def test_a_level_that_lasts_is_accepted(self, window: int, threshold: float) -> None:
        rng = np.random.default_rng(1)
        norms = np.float32(np.concatenate([rng.normal(1, 0.01, window), rng.normal(50, 0.5, 60)]))
        tx = gc.skip_outliers(gc.sgd(0.1), window, threshold)

        def one(state: Any, size: Any) -> Any:
            _, state = tx.update({"w": jnp.full(4, size / 2)}, state, ONE)
            return state, state.outlier

        _, left_out = jax.lax.scan(one, tx.init(ONE), jnp.asarray(norms))
        at = np.flatnonzero(left_out[window:])
        assert 1 <= len(at) <= window / threshold**2 + 2
        assert at[-1] == len(at) - 1  # all at once, and none later

    def test_losses_count_only_where_they_are_given(self) -> None:
        norms, losses = [1.0, 1.1, 0.9, 1.0, 1.0], [2.0, 2.1, 1.9, 2.0, 99.0]
        inner = gc.sgd(0.1)
        told = {
            "with": measured(after(gc.skip_outliers(inner, 4), norms, losses)[1]),
            "without": measured(after(gc.skip_outliers(inner, 4), norms)[1]),
            "ignored": measured(after(gc.skip_outliers(inner, 4, use_loss=False), norms, losses)[1]),
        }
        skipped = {k: v["outliers_skipped"] for k, v in told.items()}
        assert skipped == {"with": 1, "without": 0, "ignored": 0}
        assert told["without"] == told["ignored"]

    def test_takes_the_norm_that_is_known(self) -> None:
        p = {"w": jnp.ones(2), "v": jnp.ones(2)}
        inner = gc.skip_outliers(gc.sgd(0.1), 4)
        tx = gc.with_global_norm(gc.partition({"a": inner, "b": gc.sgd(0.1)}, {"w": "a", "v": "b"}))
        _, state = tx.update({"w": jnp.full(2, 1.5), "v": jnp.full(2, 1.5)}, tx.init(p), p)
        assert float(gc.tree.get(state, "norms")[0]) == pytest.approx(3.0)
        u, _ = inner.update(times(1.0), inner.init(ONE), ONE, global_norm=jnp.float32(jnp.nan))
        assert worst(u, times(0.0)) == 0

    def test_no_spread_is_no_reason(self) -> None:
        zeros = after(gc.skip_outliers(gc.sgd(0.1), 4), [0.0] * 4 + [5.0])[1]
        assert measured(zeros)["outliers_skipped"] == 0
        equal = after(gc.skip_outliers(gc.sgd(0.1), 4), [1.0] * 4 + [1 + 1e-6])[1]
        assert measured(equal)["outliers_skipped"] == 0
        more = after(gc.skip_outliers(gc.sgd(0.1), 4), [1.0] * 4 + [1.1])[1]
        assert measured(more)["outliers_skipped"] == 1

    def test_huge_norms_keep_the_scores_finite(self) -> None:
        _, state = after(gc.skip_outliers(gc.sgd(0.1), 4), [1.0, 1e30, 1e37, 1.0, 2e37, 1.0])
        assert np.isfinite(measured(state)["norm_z"])

    def test_is_one_real_conditional(self) -> None:
        tx = gc.skip_outliers(gc.adam(0.1))
        program = str(jax.make_jaxpr(lambda g, s, p: tx.step(g, s, p, value=1.0))(ONE, tx.init(ONE), ONE))
        assert program.count("cond[") == 1

    def test_says_what_is_out_of_range(self) -> None:
        with pytest.raises(ValueError, match="window must be an integer of at least 2"):
            gc.skip_outliers(gc.sgd(0.1), 1)
        for least in (1, 9):
            with pytest.raises(ValueError, match="min_history must be from 2 to the window of 8"):
                gc.skip_outliers(gc.sgd(0.1), 8, min_history=least)
        tx = gc.skip_outliers(gc.sgd(0.1))
        state = tx.init(ONE)
        with pytest.raises(ValueError, match=r"value must be one number, received shape \(3,\)"):
            tx.update(ONE, state, ONE, value=jnp.ones(3))
        with pytest.raises(ValueError, match="threshold must be finite and more than 0"):
            gc.skip_outliers(gc.sgd(0.1), threshold=0.0)


class TestZClip:
    WARM = (1.0, 3.0, 1.0, 3.0)
    """Mean 2, standard deviation 1."""

    def last(self, size: float, **arguments: Any) -> tuple[float, Any]:
        """The norm of an update after the warm-up, and the state."""
        tx = gc.zclip(eps=0.0, warmup_steps=4, **arguments)
        updates, state = after(tx, [*self.WARM, size])
        return float(gc.tree.norm(updates[-1])), state

    def test_clips_more_what_stands_out_more(self) -> None:
        assert self.last(4.4)[0] == pytest.approx(4.4)
        assert self.last(12.0)[0] == pytest.approx(2 + 2.5**2 / 10)
        assert self.last(102.0)[0] == pytest.approx(2 + 2.5**2 / 100)
        assert self.last(102.0, clip_option="mean")[0] == pytest.approx(2)
        assert self.last(102.0, clip_option="percentile")[0] == pytest.approx(4.5)
        assert self.last(102.0, clip_factor=0.5)[0] == pytest.approx(1 + 2.5**2 / 200)
        assert self.last(102.0, max_grad_norm=1.5)[0] == pytest.approx(1.5)

    def test_the_averages_take_the_clipped_norm(self) -> None:
        _, state = self.last(12.0)
        mean = 0.97 * 2 + 0.03 * 2.625
        assert float(state.mean) == pytest.approx(mean)
        assert float(state.var) == pytest.approx(0.97 + 0.03 * (2.625 - mean) ** 2)
        assert measured(state) == pytest.approx(
            {"zclip_z": 10, "zclip_factor": 2.625 / 12, "zclip_mean": mean}
        )
        _, state = self.last(12.0, skip_update_on_spike=True)
        assert (float(state.mean), float(state.var), int(state.seen)) == (2, 1, 4)

    def test_the_warm_up_bounds_and_counts_all(self) -> None:
        updates, state = after(gc.zclip(warmup_steps=4, max_grad_norm=2.0), self.WARM)
        assert [float(gc.tree.norm(u)) for u in updates] == pytest.approx([1, 2, 1, 2])
        assert (float(state.mean), float(state.var)) == pytest.approx((2, 1))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    @pytest.mark.parametrize("seen", [2, 4])
    def test_what_is_not_finite_leaves_good_state(self, bad: float, seen: int) -> None:
        tx = gc.zclip(warmup_steps=4)
        _, before = after(tx, self.WARM[:seen])
        u, now = tx.update(times(bad), before, ONE)
        assert not np.isfinite(u["w"]).any()  # others decide what to do with it
        assert worst(now, before) == 0
        assert np.isfinite(list(measured(now).values())).all()

    def test_what_is_huge_is_clipped_and_blinds_nothing(self) -> None:
        tx = gc.zclip(warmup_steps=4)
        updates, state = after(tx, [*self.WARM, 1e30, 1.0])
        assert float(gc.tree.norm(updates[-2])) == pytest.approx(2, rel=1e-5)
        assert np.isfinite(list(measured(state).values())).all()
        _, state = after(tx, [1.0, 1e30, 3.0])
        assert int(state.seen) == 2

    def test_half_precision_is_measured_in_float32(self) -> None:
        g = {"w": jnp.full(4, 3e4, jnp.float16)}  # of norm 6e4; squares would be infinite
        tx = gc.zclip(warmup_steps=1)
        state = tx.init(g)
        _, state = tx.update(g, state)
        assert (float(state.mean), state.mean.dtype) == (6e4, jnp.float32)
        u, _ = tx.update({"w": jnp.full(4, 6e4, jnp.float16)}, state)
        assert u["w"].dtype == jnp.float16
        np.testing.assert_allclose(u["w"], 3e4, rtol=1e-3)

    def test_groups_can_share_the_norm(self) -> None:
        txs: dict[Any, Any] = {k: gc.zclip(eps=0.0, warmup_steps=4) for k in "ab"}
        tx = gc.with_global_norm(gc.partition(txs, {"x": "a", "y": "b"}))
        alone, p = gc.zclip(eps=0.0, warmup_steps=4), {"x": jnp.ones(2), "y": jnp.ones(2)}
        state, single = tx.init(p), alone.init(p)
        u = v = p
        for size in (*self.WARM, 20.0):
            g = {"x": jnp.full(2, size / 2), "y": jnp.full(2, size / 2)}
            u, state = tx.update(g, state, p)
            v, single = alone.update(g, single, p)
        assert worst(u, v) < 1e-6
        assert float(v["x"][0]) < 2

    def test_says_what_it_takes(self) -> None:
        with pytest.raises(
            ValueError, match=r"clip_option must be one of adaptive_scaling, mean, percentile"
        ):
            gc.zclip(clip_option="median")
        with pytest.raises(ValueError, match="warmup_steps must be at least 1"):
            gc.zclip(warmup_steps=0)


class TestAdaGC:
    def test_each_array_is_held_to_its_own_norm(self) -> None:
        tx, p = gc.adagc(warmup_steps=2), {"a": jnp.ones(1), "b": jnp.ones(1), "c": None}
        g = {"a": jnp.array([0.3]), "b": jnp.array([0.01]), "c": None}
        _, state = tx.update(g, tx.init(p), p)
        u, state = tx.update({"a": jnp.array([0.3]), "b": jnp.array([100.0]), "c": None}, state, p)
        assert float(u["a"][0]) == pytest.approx(0.3)
        assert float(u["b"][0]) == pytest.approx(1.05 * 0.01)
        assert measured(state)["adagc_factor"] == pytest.approx(1.05 * 0.01 / 100)

    def test_the_bound_grows_slowly(self) -> None:
        _, state = after(gc.adagc(warmup_steps=2), [0.5] + [50.0] * 20)
        assert float(state.mean_norm["w"]) == pytest.approx(0.5 * 1.001**20)

    def test_an_array_that_begins_with_zeros_still_learns(self) -> None:
        """As the first factor of a low-rank adapter does, whose second one begins at 0."""
        updates, _ = after(gc.adagc(warmup_steps=3), [0.0, 0.0, 0.0, 0.0, 0.4, 0.0, 0.41, 100.0])
        sizes = [float(gc.tree.norm(u)) for u in updates]
        assert sizes == pytest.approx([0, 0, 0, 0, 0.4, 0, 0.41, 1.05 * (0.4 * 0.98 + 0.41 * 0.02)])

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_what_is_not_finite_leaves_good_state(self, bad: float) -> None:
        tx = gc.adagc(warmup_steps=3)
        for norms in ([], [0.5], [0.5] * 5):
            _, before = after(tx, norms)
            u, now = tx.update(times(bad), before, ONE)
            assert not np.isfinite(u["w"]).any()
            assert worst(now.mean_norm, before.mean_norm) == 0
        u, _ = tx.update(times(1e25), now, ONE)
        assert float(gc.tree.norm(u)) == pytest.approx(1.05 * 0.5)

    def test_a_broken_array_does_not_break_the_others(self) -> None:
        tx, p = gc.adagc(), {"a": jnp.ones(1), "b": jnp.ones(1)}
        u, state = tx.update({"a": jnp.array([jnp.nan]), "b": jnp.array([0.5])}, tx.init(p), p)
        assert (float(u["b"][0]), float(state.mean_norm["b"])) == (0.5, 0.5)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_the_norm_of_one_array_is_in_range_wherever_it_can_be(self, dtype: str) -> None:
        with enable_x64():
            tops = [1e-30, 1e-22, 1.0, 1e18, 1e25, 3e37, *([1e-200, 1e200] if dtype == "float64" else [])]
            for top in tops:
                x = np.linspace(-1, 1, 7)
                found = float(norm_in_one_pass(jnp.asarray(x * top, dtype)))
                assert found == pytest.approx(np.linalg.norm(x) * top, rel=1e-6)
            assert float(norm_in_one_pass(jnp.zeros(3, dtype))) == 0
            assert np.isnan(norm_in_one_pass(jnp.array([jnp.nan, 1], dtype)))
            assert np.isinf(norm_in_one_pass(jnp.array([jnp.inf, 1], dtype)))
            assert float(jax.grad(norm_in_one_pass)(jnp.array([3.0, 4.0], dtype))[0]) == pytest.approx(0.6)


class TestStableAdamW:
    def test_is_adam_where_nothing_is_too_large(self) -> None:
        p = params()
        stable, adam = gc.scale_by_stable_adam(clip_threshold=1e9), gc.scale_by_adam(0.9, 0.99, 1e-6)
        s, t = stable.init(p), adam.init(p)
        for i in range(4):
            (u, s), (v, t) = stable.update(gradients(p, i), s, p), adam.update(gradients(p, i), t, p)
            assert worst(u, v) < 1e-6
            assert worst((s.count, s.mu, s.nu), tuple(t)) < 1e-6  # an Adam's state can be carried on

    def test_steps_stay_small_where_gradients_become_large(self) -> None:
        """The paper's cause of spikes: a second moment of the past, when gradients were small."""

        def largest(tx: Any, p: Any = ONE) -> float:
            _, state = after(tx, [1e-3] * 100)
            sizes = []
            for _ in range(30):
                u, state = tx.update(times(1.0), state, p)
                sizes.append(float(jnp.max(jnp.abs(u["w"]))))
            return max(sizes)

        assert largest(gc.adamw(1.0, b2=0.999, weight_decay=0)) > 2
        assert largest(gc.stable_adamw(1.0, b2=0.999, weight_decay=0)) < 1.01

    def test_tells_the_worst_array(self) -> None:
        tx, p = gc.stable_adamw(0.1), {"a": jnp.ones(2), "b": jnp.ones(2), "c": None}
        _, state = tx.update({"a": jnp.ones(2), "b": jnp.ones(2), "c": None}, tx.init(p), p)
        assert measured(state) == pytest.approx({"stable_adam_rms": 1})
        _, state = tx.update({"a": jnp.ones(2), "b": jnp.full(2, 1e4), "c": None}, state, p)
        assert measured(state)["stable_adam_rms"] == pytest.approx((1 - 0.99**2) ** 0.5 / 0.1, rel=1e-3)
        batch = {"a": jnp.ones((3, 2)), "b": jnp.ones((3, 2)), "c": None}
        batch = jax.vmap(lambda g: tx.update(g, tx.init(p), p)[1])(batch)
        assert gc.tools.measurements(batch)["stable_adam_rms"].shape == (3,)

    def test_overflow_of_the_square_gives_no_nan(self) -> None:
        tx = gc.stable_adamw(0.1)
        u, state = tx.update(times(1e25), tx.init(ONE), ONE)
        assert np.isfinite(u["w"]).all()
        assert np.isfinite(measured(state)["stable_adam_rms"])


class TestResetMoments:
    @pytest.mark.parametrize(("every", "warmup"), [(5, 3), (4, 0), (3, 7), (1, 2)])
    @pytest.mark.parametrize("whole", [False, True])
    def test_is_spam_without_its_clipping(self, every: int, warmup: int, whole: bool) -> None:
        with enable_x64():
            p = q = params("float64")
            spam = gc.spam(0.1, eps=0.0, reset_interval=every, warmup_steps=warmup, clip_after=10**6)
            rule = gc.reset_moments(gc.scale_by_adam(eps=0.0), every, warmup)
            ours = gc.chain(rule, gc.scale_by_learning_rate(0.1))
            s, t = ours.init(p), spam.init(q)
            for i in range(14):
                g = gradients(p, i)
                if whole:
                    p, s = ours.step(g, s, p)
                else:
                    u, s = ours.update(g, s, p)
                    p = gc.apply_updates(p, u)
                v, t = spam.update(g, t, q)
                q = gc.apply_updates(q, v)
                assert worst(p, q) < 1e-13
                assert worst((s[0].inner_state.mu, s[0].inner_state.nu), (t[0].mu, t[0].nu)) == 0
            told = {"moment_resets": 14 // every, "steps_since_reset": 14 % every}
            assert measured(s) == told

    @pytest.mark.parametrize(
        ("tx", "fields"),
        [
            (gc.adamw(0.1), "mu nu"),
            (gc.sgd(0.1, 0.9), "trace"),
            (gc.adagrad(0.1), "sum_of_squares"),
            (gc.schedule_free_adamw(0.1), "nu"),  # not z
            (gc.chain(gc.adam(0.1), gc.ema_params(0.9)), "mu nu"),  # no average of parameters
            (gc.lookahead(gc.adam(0.1), 2, 0.5), "mu nu"),
            (gc.prodigy(), "exp_avg exp_avg_sq grad_sum"),  # not params0
            (gc.groups({"w": "freeze"}, gc.lion(0.1)), "mu"),
            (gc.muon(0.1), "mu nu"),
            (gc.chain(gc.add_noise(1.0, 0.5, 1), gc.adam(0.1)), "mu nu"),
        ],
        ids=str,
    )
    def test_finds_the_moments(self, tx: Any, fields: str) -> None:
        chosen = jax.tree_util.tree_flatten_with_path(moments_in("here", tx, params()))[0]
        found = {
            [k.name for k in path if hasattr(k, "name")][-1] for path, is_moment in chosen if is_moment
        }
        assert found == set(fields.split())

    def test_only_the_moments_begin_anew(self) -> None:
        p = params()
        inner = gc.chain(gc.schedule_free_adamw(0.1), gc.ema_params(0.9))
        tx = gc.reset_moments(inner, 3, 0)
        s, t = tx.init(p), inner.init(p)
        u = v = p
        for i in range(3):
            if i == 2:  # the last step takes the gradient into moments of 0
                first = inner.init(p)[0].base_optimizer_state[0].nu
                base = t[0].base_optimizer_state
                base = (base[0]._replace(nu=first), *base[1:])
                t = (t[0]._replace(base_optimizer_state=base), *t[1:])
            u, s = tx.update(gradients(p, i), s, p)
            v, t = inner.update(gradients(p, i), t, p)
        assert worst(u, v) < 1e-6
        assert worst(s.inner_state, t) < 1e-6

    @pytest.mark.parametrize("bits", [8, 4, "bfloat16"])
    def test_moments_in_few_bits_begin_anew(self, bits: Any) -> None:
        p = params()
        inner = gc.quantize_state(gc.sgd(0.1, 0.9), bits, min_size=1)
        tx = gc.reset_moments(inner, 3, 0)
        s, t = tx.init(p), inner.init(p)
        for i in range(3):
            u, s = tx.update(gradients(p, i), s, p)
        v, t = inner.update(gradients(p, 2), t, p)
        assert worst(u, v) < 1e-6
        assert float(measured(s)["moment_resets"]) == 1

    def test_fields_are_taken_by_name(self) -> None:
        p = params()
        tx = gc.reset_moments(gc.adamw(0.1), 2, 0, fields=["mu"])
        s = tx.init(p)
        for i in range(2):
            _, s = tx.update(gradients(p, i), s, p)
        adam = s.inner_state[0]
        assert worst(adam.mu, jax.tree.map(lambda g: 0.1 * g, gradients(p, 1))) < 1e-6
        squares = jax.tree.map(lambda g, h: 1e-3 * (0.999 * g**2 + h**2), gradients(p, 0), gradients(p, 1))
        assert worst(adam.nu, squares) < 1e-5

    def test_says_where_there_is_nothing_to_reset(self) -> None:
        with pytest.raises(ValueError, match=r"there is no moment in the state of sgd.*fields="):
            gc.reset_moments(gc.sgd(0.1)).init(params())
        with pytest.raises(ValueError, match=r"the state has no field 'nuu'; it has .*Did you mean"):
            gc.reset_moments(gc.adam(0.1), fields=["nuu"]).init(params())
        tx = gc.reset_moments(gc.adam(0.1))
        state = tx.init(params())
        with pytest.raises(ValueError, match="reset_moments needs the parameters"):
            tx.update(params(), state)

    def test_works_around_other_libraries(self) -> None:
        import optax

        with jax.numpy_dtype_promotion("standard"):
            p = params()
            inner: Any = optax.adam(0.1)
            tx = gc.reset_moments(inner, 2, 0)
            s = tx.init(p)
            for i in range(2):
                _, s = tx.update(gradients(p, i), s, p)
            assert worst(s.inner_state[0].mu, jax.tree.map(lambda g: 0.1 * g, gradients(p, 1))) < 1e-6


def test_all_of_them_stand_in_one_chain() -> None:
    inner = gc.chain(
        gc.zclip(), gc.adagc(), gc.reset_moments(gc.scale_by_stable_adam(weight_decay=0.1)), gc.scale(-0.1)
    )
    tx, p = gc.logged(gc.skip_outliers(inner), every=1), params()
    state = tx.init(p)
    _, state = jax.jit(tx.update)(gradients(p, 0), state, p, value=jnp.float32(1))
    told = measured(state)
    names = {"outliers_skipped", "outlier", "loss_z", "norm_z", "zclip_z", "zclip_factor", "zclip_mean"}
    names |= {"adagc_factor", "moment_resets", "steps_since_reset", "stable_adam_rms", "grad_norm", "step"}
    assert names <= set(told)
    assert all(map(np.isfinite, told.values()))


def test_what_is_told_of_wide_and_narrow_arrays_has_one_dtype() -> None:
    with enable_x64():
        p = {"a": jnp.ones(2, "float64"), "b": jnp.ones(2, "bfloat16")}
        tx = gc.chain(gc.adagc(), gc.scale_by_stable_adam())
        _, state = tx.update(p, tx.init(p), p)
        assert measured(state) == pytest.approx({"adagc_factor": 0.5, "stable_adam_rms": 1}, rel=1e-3)


def test_logged_counts_what_was_left_out_and_clipped() -> None:
    clipped = gc.chain(gc.clip_by_global_norm(1.5), gc.sgd(0.1))
    tx = gc.logged(gc.skip_outliers(gc.reset_moments(clipped, fields=[]), 4, 50.0), every=1)
    _, state = after(tx, [1.0, 1.1, 2.0, 0.9, 1.0, 1e5])
    told = measured(state)
    assert told["skipped"] == pytest.approx(1 / 6)
    assert told["clipped"] == pytest.approx(2 / 6)


SPIKES = (120, 170)
STEPS = 450


def trained(tx: Any, spikes: tuple[int, ...] = SPIKES) -> float:
    """The loss of a regression after some steps, at some of which the gradient is 10,000 times as large."""
    rng = np.random.default_rng(3)
    target = jnp.asarray(rng.normal(size=(8,)), jnp.float32) * 3
    data = jnp.asarray(rng.normal(size=(STEPS, 32, 8)), jnp.float32)

    def loss_of(p: Any, x: Any) -> Any:
        return jnp.mean((x @ (p["w"] - target)) ** 2 + 0 * p["b"])

    def one(carry: Any, given: Any) -> Any:
        p, state = carry
        x, step = given
        loss, g = jax.value_and_grad(loss_of)(p, x)
        spike = jnp.any(step == jnp.array(spikes or [-1]))
        g = jax.tree.map(lambda g: jnp.where(spike, 1e4 * g, g), g)
        return tx.step(g, state, p, value=loss), None

    p = {"w": jnp.zeros(8), "b": jnp.zeros(())}
    (p, _), _ = jax.jit(lambda c: jax.lax.scan(one, c, (data, jnp.arange(STEPS))))((p, tx.init(p)))
    return float(jnp.sum((p["w"] - target) ** 2))


REMEDIES = {
    "skip_outliers": gc.skip_outliers(gc.adamw(0.02), 64),
    "zclip": gc.chain(gc.zclip(), gc.adamw(0.02)),
    "adagc": gc.chain(gc.adagc(warmup_steps=50, lambda_abs=50.0), gc.adamw(0.02)),
    "reset_moments": gc.reset_moments(gc.adamw(0.02), 50, 10),
}


@functools.cache
def of_adamw(spikes: tuple[int, ...]) -> float:
    """What AdamW reaches."""
    return trained(gc.adamw(0.02), spikes)


@pytest.mark.parametrize("name", REMEDIES)
def test_training_goes_on_after_spikes(name: str) -> None:
    """AdamW's second moment remembers them: its steps are as good as over."""
    clean, lost = of_adamw(()), of_adamw(SPIKES)
    assert lost > 10 * clean
    assert trained(REMEDIES[name]) < 1.5 * clean


def test_two_that_tell_the_same_are_counted_and_a_chosen_name_is_not() -> None:
    p = {"a": jnp.ones(3), "b": jnp.ones((2, 2))}
    tx = gc.partition({"x": gc.stable_adamw(0.1), "y": gc.stable_adamw(0.1)}, {"a": "x", "b": "y"})
    assert list(measured(tx.init(p))) == ["stable_adam_rms[0]", "stable_adam_rms[1]"]
    with pytest.raises(ValueError, match="two measures have the name 'zclip_z'"):
        measured(gc.chain(gc.monitor({"zclip_z": gc.measure_norm()}), gc.zclip()).init(p))
