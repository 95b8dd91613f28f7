"""Schedules are exact at their ends, stable in dtype, and know what made them."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings, strategies as st
from trees import enable_x64

from gradchain import schedules as s

WARM = {"init_value": 0.1, "peak_value": 0.3, "warmup_steps": 5, "decay_steps": 25}
EVERY = [
    s.constant_schedule(0.1),
    s.linear_schedule(0.3, 0.01, 10),
    s.linear_schedule(0.3, 0.01, 0),
    s.polynomial_schedule(0.3, 0.01, 2.5, 10, 3),
    s.exponential_decay(0.3, 10, 0.5, staircase=True, end_value=0.01),
    s.exponential_decay(0.3, 0, 0.5),
    s.cosine_decay_schedule(0.3, 10, 0.1),
    s.piecewise_constant_schedule(1, {5: 0.5}),
    s.piecewise_interpolate_schedule("cosine", 1, {5: 0.5}),
    s.linear_onecycle_schedule(20, 0.3),
    s.cosine_onecycle_schedule(20, 0.3),
    s.warmup_constant_schedule(0, 1, 5),
    s.warmup_cosine_decay_schedule(**WARM),
    s.warmup_exponential_decay_schedule(0.0, 0.3, 5, 10, 0.5),
    s.sgdr_schedule([WARM, WARM]),
    s.join_schedules([s.constant_schedule(1), s.linear_schedule(1, 0, 10)], [5]),
    s.warmup_stable_decay_schedule(0.0, 1.0, 5, 10, 5),
    s.warmup_inverse_sqrt_schedule(0.0, 1.0, 5),
    s.power_schedule(0.7, 4.0),
    s.rex_schedule(1.0, 20),
    s.cyclic_schedule(0.1, 1.0, 10),
    s.rewarmup_schedule(s.rex_schedule(1.0, 20), 5, 5),
    s.cooldown_schedule(s.power_schedule(0.7, 4.0), 10, 10),
    s.scaled_schedule(s.rex_schedule(1.0, 20), 0.1),
    s.wsd_schedule(1.0, 20, 5, 0.25, "mirror_cosine"),
    s.wsd_schedule(1.0, 20, 5, 0.75, "exponential", end_value=0.1),
    s.powercool_schedule(1.0, 20, 0.1),
    s.powercool_schedule(1.0, 20, transition_begin=10),
    s.beta_schedule(0.85, 0.95, 20),
    s.beta_schedule(0.9, 0.9999, 20, space="halflife"),
    s.proportional_schedule(s.rex_schedule(1.0, 20), 0.0, 1.0, 0.1, 0.2),
    s.polynomial_schedule_by_fraction(1.0, 0.1, 2, 20),
    s.piecewise_constant_schedule_by_fraction(1, 20, {0.5: 0.1}),
    s.piecewise_interpolate_schedule_by_fraction("linear", 1, 20, {0.5: 0.1}),
]
each = pytest.mark.parametrize("schedule", EVERY, ids=lambda schedule: repr(schedule)[:40])


# The suite compiles without optimization, which is what moves numbers: here as users compile.
FULLY = {"compiler_options": {"xla_backend_optimization_level": 3}}


def in_every_way(f):
    """`f` of one count, called plainly, compiled, batched, and compiled in a batch."""

    def in_batch(batched):
        return lambda count: jax.tree.map(lambda v: v[1], batched(jnp.array([3, count, 0], jnp.int32)))

    return {
        "plain": f,
        "jit": jax.jit(f, **FULLY),
        "vmap": in_batch(jax.vmap(f)),
        "jit(vmap)": in_batch(jax.jit(jax.vmap(f), **FULLY)),
    }


def expect(rows):
    """Asserts of `(schedule, {count: value})` that the values are these to the bit, in every way."""

    def every(count):
        return [schedule(count) for schedule, _ in rows]

    for way, f in in_every_way(every).items():
        for count in sorted({count for _, points in rows for count in points}):
            for (schedule, points), value in zip(rows, f(count), strict=True):
                if count in points:
                    assert value == np.float32(points[count]), (way, count, schedule)


def test_every_public_schedule_is_in_the_list():
    made = {schedule.factory.__name__ for schedule in EVERY}
    public = {name for name in vars(s) if name.endswith(("_schedule", "_decay", "_fraction"))}
    assert public | {"join_schedules"} == made


@each
def test_the_dtype_and_shape_follow_the_count(schedule):
    for count in (jnp.int32(3), jnp.float32(3.0), jnp.uint32(3), np.int64(3), 3, 3.0, jnp.int8(3)):
        value = schedule(count)
        assert value.dtype == jnp.float32
        assert not value.weak_type
        assert value.shape == ()
    assert schedule(jnp.arange(6).reshape(2, 3)).shape == (2, 3)
    assert jnp.isfinite(jax.grad(schedule)(7.3))


@each
def test_a_schedule_remembers_its_call(schedule):
    for twin in (eval(repr(schedule), vars(s)), pickle.loads(pickle.dumps(schedule))):
        assert twin == schedule
        assert hash(twin) == hash(schedule)
        assert twin(4) == schedule(4)
    assert copy.deepcopy(schedule) == schedule
    assert schedule != s.constant_schedule(0.123)


WITH_VALUE = [f for f in EVERY if {"init_value", "peak_value"} & set(f.arguments)]


@pytest.mark.parametrize("schedule", WITH_VALUE, ids=lambda schedule: repr(schedule)[:40])
def test_a_traced_value_may_be_an_argument(schedule):
    name = "init_value" if "init_value" in schedule.arguments else "peak_value"
    value = float(schedule.arguments[name])
    traced = jax.jit(lambda v: schedule.replace(**{name: v})(7))(jnp.float32(value))
    np.testing.assert_allclose(traced, schedule(7), rtol=1e-5, atol=1e-7)


floats = st.floats(-2.0, 2.0, width=32)
lengths = st.one_of(st.integers(1, 50), st.integers(1, 2**31 - 2))


@settings(max_examples=10, deadline=None)
@given(floats, floats, lengths)
@example(0.0, 1e-3, 5)  # compiled, its first step was -1.5e-11: up the hill
def test_both_ends_are_exact(start, end, steps):
    falls = [
        s.linear_schedule(start, end, steps),
        s.polynomial_schedule(start, end, 1.7, steps),
        s.rex_schedule(start, steps, end),
        s.warmup_cosine_decay_schedule(9.0, start or 1.0, 0, steps, end),
        s.warmup_stable_decay_schedule(9.0, start, 0, 0, steps, end, "1-sqrt"),
        s.cooldown_schedule(s.constant_schedule(start), 0, steps, end, "cosine"),
    ]
    expect(
        [(made, {0: made.arguments.get("peak_value", start), steps: end, 2**31 - 1: end}) for made in falls]
    )


def rows_of(a, p, b, m, n):
    """Every schedule from a over p to b, rising for m steps, falling for n: its exact values."""
    warm = {"init_value": a, "peak_value": p, "warmup_steps": m, "decay_steps": m + n, "end_value": b}
    scales, steps = {m: 0.1, m + n: 0.7}, (0, m, m + n)
    scaled = dict(zip(steps, (a, a * 0.1, a * (0.1 * 0.7)), strict=True))
    up_and_down = {0: a, m: p, m + n: b, m + n + 1: b}
    onecycle = {0: p / 25, 300: p, 1000: p / 25 / 1e4, 1001: p / 25 / 1e4}
    alpha = np.float32(a) * np.float32(0.1)
    whole = m + n
    by_parts = {0.0: 1.0, m / whole: 0.1, 1.0: 0.7}
    return [
        (s.constant_schedule(a), {0: a, 7: a}),
        (s.linear_schedule(a, b, n, m), {0: a, m: a, m + n: b, m + n + 1: b}),
        (s.polynomial_schedule(a, b, 3, n), {0: a, n: b, n + 1: b}),
        (s.polynomial_schedule(a, b, 1.7, n), {0: a, n: b, n + 1: b}),
        (s.cosine_decay_schedule(a, n, 0.1), {0: a, n: alpha, n + 1: alpha}),
        (s.cosine_decay_schedule(a, n, 0.1, 1.3), {0: a, n: alpha, n + 1: alpha}),
        (s.exponential_decay(p, n, 0.7, m), {0: p, m: p, m + n: np.float32(p) * np.float32(0.7)}),
        (s.exponential_decay(p, n, 0.5, end_value=p / 3), {0: p, 2 * n: p / 3, 9 * n: p / 3}),
        (s.exponential_decay(p, n + 0.5, 0.5, 0, True, p / 3), {0: p, n: p, 9 * n + 9: p / 3}),
        (s.piecewise_constant_schedule(a, scales), scaled),
        (s.piecewise_interpolate_schedule("linear", a, scales), scaled),
        (s.piecewise_interpolate_schedule("cosine", a, scales), scaled),
        (s.linear_onecycle_schedule(1000, p), onecycle | {850: p / 25}),
        (s.cosine_onecycle_schedule(1000, p), onecycle),
        (s.warmup_constant_schedule(a, p, m), {0: a, m: p, m + 1: p}),
        (s.warmup_cosine_decay_schedule(**warm), up_and_down),
        (s.warmup_cosine_decay_schedule(**warm, exponent=1.3), up_and_down),
        (
            s.warmup_exponential_decay_schedule(a, p, m, n, 0.5, 0, False, p / 3),
            {0: a, m: p, m + 9 * n: p / 3},
        ),
        (s.sgdr_schedule([warm, warm]), {0: a, m: p, whole: a, whole + m: p, 2 * whole: b}),
        (s.join_schedules([s.linear_schedule(a, p, m), s.rex_schedule(p, n, b)], [m]), up_and_down),
        (s.warmup_stable_decay_schedule(a, p, m, 3, n, b), {0: a, m: p, m + 3: p, m + 3 + n: b}),
        (s.warmup_stable_decay_schedule(a, p, m, 3, n, b, "1-sqrt"), {0: a, m: p, m + 3: p, m + 3 + n: b}),
        (s.warmup_inverse_sqrt_schedule(a, p, m), {0: a, m: p}),
        (s.power_schedule(p, 1e9), {0: p, 1: p}),
        (s.power_schedule(p, 1e9, warmup_steps=m), {0: 0, m: p}),
        (s.rex_schedule(a, n, b), {0: a, n: b, n + 1: b}),
        (s.cyclic_schedule(a, p, n), {0: a, n: p, 2 * n: a, 3 * n: p}),
        (s.cyclic_schedule(a, p, n, "triangular2"), {0: a, n: p, 2 * n: a}),
        (s.cyclic_schedule(a, p, n, "exp_range"), {0: a, n: p, 2 * n: a}),
        (s.rewarmup_schedule(s.constant_schedule(p), m, n, a), {0: p, m: a, m + n: p, m + n + 1: p}),
        *[
            (s.warmup_stable_decay_schedule(a, p, m, 3, n, b, shape), {0: a, m: p, m + 3: p, m + 3 + n: b})
            for shape in ("mirror_cosine", "square", "sqrt")
        ],
        (
            s.warmup_stable_decay_schedule(a, p, m, 3, n, p / 7, "exponential"),
            {0: a, m: p, m + 3: p, m + 3 + n: p / 7},
        ),
        (s.wsd_schedule(p, 4 * m, m, 0.5, "square", a, b), {0: a, m: p, 2 * m: p, 4 * m: b, 4 * m + 1: b}),
        (s.wsd_schedule(p, 2 * n, decay_fraction=0.5, end_value=b), {0: p, n: p, 2 * n: b}),
        (s.powercool_schedule(p, whole, transition_begin=m), {0: p, m: p, whole: 0.0, whole + 1: 0.0}),
        (s.powercool_schedule(p, whole, p, exponent=0.7), {0: p, whole - 1: p, whole: 0.0, whole + 1: 0.0}),
        (s.beta_schedule(0.85, 0.95, n, m), {0: 0.85, m: 0.85, m + n: 0.95, m + n + 1: 0.95}),
        (
            s.beta_schedule(0.0, 0.9999, n, m, "halflife"),
            {0: 0.0, m: 0.0, m + n: 0.9999, m + n + 1: 0.9999},
        ),
        (s.proportional_schedule(s.linear_schedule(p, b, n), p, b, 0.3, 0.7), {0: 0.3, n: 0.7, n + 1: 0.7}),
        (s.scaled_schedule(s.linear_schedule(p, b, n), 0.5), {0: p / 2, n: b / 2, n + 1: b / 2}),
        (s.cooldown_schedule(s.constant_schedule(p), m, n, b, "cosine"), {0: p, m: p, m + n: b}),
        (s.polynomial_schedule_by_fraction(a, b, 1, whole, m / whole), {0: a, m: a, whole: b}),
        (s.piecewise_constant_schedule_by_fraction(a, whole, by_parts), scaled),
        (s.piecewise_interpolate_schedule_by_fraction("cosine", a, whole, by_parts), scaled),
    ]


PLANS = [(0.0, 1e-3, 1e-5, 5, 25), (0.3, 0.7, 0.1, 49, 10**6 + 1), (-0.1, 1.1, -0.7, 3, 7)]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_every_schedule_is_exact_where_it_is_given(plan):
    rows = rows_of(*plan)
    made = {schedule.factory.__name__ for schedule, _ in rows}
    assert made == {schedule.factory.__name__ for schedule in EVERY}
    expect(rows)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_no_schedule_goes_past_the_values_it_is_given(plan):
    rows = rows_of(*plan)
    counts = jnp.arange(1200, dtype=jnp.int32)
    ways = in_every_way(lambda c: [schedule(c) for schedule, _ in rows])
    for f in (ways["plain"], ways["jit"]):
        for (schedule, points), values in zip(rows, f(counts), strict=True):
            endless = (s.warmup_inverse_sqrt_schedule, s.power_schedule, s.exponential_decay)
            if schedule.factory in endless and schedule.arguments.get("end_value") is None:
                points = points | {-1: 0.0}
            bounds = np.array(list(points.values()), np.float32)
            assert bounds.min() <= values.min(), schedule
            assert values.max() <= bounds.max(), schedule


def test_derivatives_by_the_numbers_are_those_of_the_formula():
    def at(count):
        return lambda a, b: jnp.stack(
            [
                s.linear_schedule(a, b, 10)(count),
                s.polynomial_schedule(a, b, 2, 10)(count),
                s.warmup_cosine_decay_schedule(0.0, a, 0, 10, b)(count),
                s.piecewise_interpolate_schedule("linear", a, {10: 0.5})(count) + 0.5 * b,
                s.cooldown_schedule(s.constant_schedule(a), 0, 10, b)(count),
                s.rewarmup_schedule(s.constant_schedule(b), 0, 10, a)(count),
            ]
        )

    for a, b in ((0.3, 0.1), (0.2, 0.2)):  # where both are one, the value is held between them
        for count, weights in (
            (0, [1, 1, 1, None, 1, 1]),
            (5, [0.5, 0.25, 0.5, None, 0.5, 0.5]),
            (10, [0, 0, 0, None, 0, 0]),
            (11, [0, 0, 0, None, 0, 0]),
        ):
            slopes = jax.jacobian(at(count), (0, 1))
            for f in (slopes, jax.jit(slopes, **FULLY)):
                by_a, by_b = f(jnp.float32(a), jnp.float32(b))
                expected = np.array([1 - min(count, 10) / 20 if w is None else w for w in weights])
                np.testing.assert_allclose(by_a, expected, atol=1e-6)
                complement = [0.5 if w is None else 1 - w for w in weights]
                np.testing.assert_allclose(by_b, complement, atol=1e-6)
    slope = jax.grad(s.linear_schedule(0.3, 0.1, 10))(4.0)
    np.testing.assert_allclose(slope, -0.02, rtol=1e-5)


def test_the_last_steps_of_a_long_decay_keep_their_digits():
    steps = 10**6  # where 1 - n / steps is wrong by 1.3 % in float32
    far = 2**30 + 1  # float32 would round it to 2**30
    one, two = s.constant_schedule(1.0), s.constant_schedule(2.0)
    expect(
        [
            (s.linear_schedule(1.0, 0.0, steps), {steps - 1: 1e-6}),
            (s.linear_schedule(1.0, 0.0, 4, far), {far + 1: 0.75}),
            (s.piecewise_constant_schedule(1.0, {far: 0.5}), {far - 1: 1.0, far: 0.5}),
            (s.join_schedules([one, two], [far]), {far - 1: 1.0, far: 2.0}),
            (s.exponential_decay(1.0, far, 0.5, staircase=True), {far - 1: 1.0, far: 0.5}),
        ]
    )


def test_a_staircase_steps_where_it_should():
    for steps in (49, 49.0, 24.5):  # 49 * (1 / 49) is less than 1
        stairs = s.exponential_decay(1.0, steps, 0.5, staircase=True)
        expect([(stairs, {0: 1.0, 49: 0.5 ** (49 // steps), 98: 0.5 ** (98 // steps)})])


def test_the_peak_is_the_peak():
    onecycles = [s.linear_onecycle_schedule(100, 0.3), s.cosine_onecycle_schedule(100, 0.3)]
    expect([(made, {30: 0.3}) for made in onecycles] + [(s.cyclic_schedule(0.1, 0.7, 10), {10: 0.7})])


def test_a_schedule_of_integers_stays_one():
    assert s.constant_schedule(4)(0).dtype == jnp.int32
    both = s.join_schedules([s.constant_schedule(1), s.constant_schedule(4)], [10])
    assert [int(both(c)) for c in (9, 10)] == [1, 4]
    assert both(9).dtype == jnp.int32


def test_no_joined_schedule_meets_a_negative_count():
    def root(count):
        return jnp.sqrt(count.astype(jnp.float32))

    both = s.join_schedules([s.constant_schedule(1.0), root], [10])
    with jax.debug_nans(True):
        assert both(3) == 1.0


@each
def test_before_its_beginning_a_schedule_has_its_first_value(schedule):
    for count in (-1, -7, -(2**31)):
        assert schedule(jnp.int32(count)) == schedule(0)


@each
def test_at_the_last_count_nothing_wraps(schedule):
    """An int64 count, which is far from its end there, gives the same number."""
    for count in (2**31 - 2, 2**31 - 1):
        value = schedule(jnp.int32(count))
        with enable_x64():
            expected = np.float32(schedule(jnp.int64(count)))
        assert np.isfinite(value)
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-9)


THERE = {  # what Optax gives 7 steps before the beginning
    "cosine_decay_schedule": ((0.3, 10), 0.0618),  # where it was 7 steps after it
    "piecewise_interpolate_schedule": (("linear", 0.3, {5: 0.5}), 0.0),
    "linear_onecycle_schedule": ((20, 0.3), 0.0),
    "cosine_onecycle_schedule": ((20, 0.3), 0.0),
}


@pytest.mark.parametrize("name", THERE)
def test_before_its_beginning_optax_is_elsewhere(name):
    args, there = THERE[name]
    ours, theirs = getattr(s, name)(*args), getattr(optax, name)(*args)
    with jax.numpy_dtype_promotion("standard"):
        before, first = float(theirs(jnp.int32(-7))), float(theirs(jnp.int32(0)))
    assert before == pytest.approx(there, rel=1e-3)
    assert ours(-7) == ours(0) == pytest.approx(first)


def test_a_joined_schedule_before_its_beginning_is_its_first():
    def join(lib):
        return lib.join_schedules([lib.cosine_decay_schedule(1.0, 10), lib.constant_schedule(2.0)], [10])

    assert join(s)(-7) == 1.0
    np.testing.assert_allclose(join(optax)(-7), 0.2061, rtol=1e-3)


WRONG = [
    (s.cosine_decay_schedule, (1.0, 0), "decay_steps must be positive, received 0."),
    (s.linear_onecycle_schedule, (0, 1.0), "transition_steps must be positive, received 0."),
    (s.cosine_onecycle_schedule, (-1, 1.0), "transition_steps must be positive, received -1."),
    (s.warmup_cosine_decay_schedule, (0.0, 1.0, 5, 5), "decay_steps must be more than"),
    (s.piecewise_constant_schedule, (1.0, {5: -1.0}), "scales must be at least 0, received -1.0"),
    (s.piecewise_interpolate_schedule, ("spline", 1.0), "received 'spline'."),
    (s.piecewise_interpolate_schedule, ("linear", 1.0, {5: -1.0}), "received -1.0 at 5."),
    (s.join_schedules, ([s.constant_schedule(1.0)], [5]), "1 schedules need 0 boundaries"),
    (s.sgdr_schedule, ([],), "at least one cycle"),
    (s.warmup_stable_decay_schedule, (0.0, 1.0, 5, 5, 5, 0.0, "slow"), "received 'slow'."),
    (s.warmup_stable_decay_schedule, (0.0, 1.0, 5, -5, 5), "stable_steps must be at least 0"),
    (s.cooldown_schedule, (s.constant_schedule(1.0), 5, 0), "decay_steps must be positive"),
    (s.cooldown_schedule, (s.constant_schedule(1.0), 5, 5, 0.0, "cosin"), "Did you mean 'cosine'?"),
    (s.cooldown_schedule, (s.constant_schedule(1.0), 5, 5, 0.0, "exponential"), "must have the sign"),
    (s.warmup_stable_decay_schedule, (0.0, 1.0, 5, 5, 5, -1.0, "exponential"), "received -1.0."),
    (s.wsd_schedule, (1.0, 0), "total_steps must be positive, received 0."),
    (s.wsd_schedule, (1.0, 9, 0, 0.5, "squared"), "received 'squared'. Did you mean 'square'?"),
    (s.wsd_schedule, (1.0, 9, 0, 0.5, "exponential"), "must have the sign"),
    (s.wsd_schedule, (1.0, 9, 0, 0.1), "at least one of 9 steps, received 0.1."),
    (s.wsd_schedule, (1.0, 9, 0, 1.5), "decay_fraction must be in (0, 1]"),
    (s.wsd_schedule, (1.0, 9, 6, 0.5), "begins at step 5; received 6."),
    (s.powercool_schedule, (1.0, 0, 0.1), "total_steps must be positive, received 0."),
    (s.powercool_schedule, (1.0, 9), "give one of coefficient and transition_begin"),
    (s.powercool_schedule, (1.0, 9, 0.1, 5), "received coefficient=0.1 and transition_begin=5."),
    (s.powercool_schedule, (1.0, 9, None, 9), "before the end, total_steps=9; received 9."),
    (s.powercool_schedule, (1.0, 9, -0.1), "coefficient must be positive, received -0.1."),
    (s.powercool_schedule, (1.0, 9, 0.1, None, 0), "exponent must be positive, received 0."),
    (s.beta_schedule, (0.9, 1.0, 9), "end_value must be in [0, 1), received 1.0."),
    (s.beta_schedule, (-0.1, 0.9, 9), "init_value must be in [0, 1), received -0.1."),
    (s.beta_schedule, (0.8, 0.9, 0), "transition_steps must be positive, received 0."),
    (s.beta_schedule, (0.8, 0.9, 9, 0, "half-life"), "Did you mean 'halflife'?"),
    (s.warmup_inverse_sqrt_schedule, (0.0, 1.0, 0), "warmup_steps must be positive"),
    (s.power_schedule, (1.0, 1.0, -0.5, -1), "warmup_steps must be at least 0"),
    (s.rex_schedule, (1.0, 0), "decay_steps must be positive"),
    (s.cyclic_schedule, (0.0, 1.0, 0), "transition_steps must be positive"),
    (s.cyclic_schedule, (0.0, 1.0, 5, "square"), "received 'square'."),
    (s.rewarmup_schedule, (s.constant_schedule(1.0), 5, 0), "warmup_steps must be positive"),
    (s.polynomial_schedule_by_fraction, (1.0, 0.0, 1, 0), "total_steps must be positive"),
    (s.polynomial_schedule_by_fraction, (1.0, 0.0, 1, 9, 0.5, 0.5), "at least one step after"),
    (s.piecewise_constant_schedule_by_fraction, (1.0, 9, {1.5: 1}), "in [0, 1], received 1.5."),
]


@pytest.mark.parametrize(("factory", "args", "words"), WRONG)
def test_a_wrong_argument_is_named(factory, args, words):
    with pytest.raises(ValueError, match=r"received|cycle") as caught:
        factory(*args)
    assert str(caught.value).startswith(factory.__name__)
    assert words in str(caught.value)
