"""Schedules are exact at their ends, stable in dtype, and know what made them."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

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
    s.polynomial_schedule_by_fraction(1.0, 0.1, 2, 20),
    s.piecewise_constant_schedule_by_fraction(1, 20, {0.5: 0.1}),
    s.piecewise_interpolate_schedule_by_fraction("linear", 1, 20, {0.5: 0.1}),
]
each = pytest.mark.parametrize("schedule", EVERY, ids=lambda schedule: repr(schedule)[:40])


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


@settings(max_examples=30, deadline=None)
@given(floats, floats, lengths)
def test_both_ends_are_exact(start, end, steps):
    for made in (
        s.linear_schedule(start, end, steps),
        s.polynomial_schedule(start, end, 1.7, steps),
        s.rex_schedule(start, steps, end),
        s.warmup_cosine_decay_schedule(9.0, start or 1.0, 0, steps, end),
        s.warmup_stable_decay_schedule(9.0, start, 0, 0, steps, end, "1-sqrt"),
        s.cooldown_schedule(s.constant_schedule(start), 0, steps, end, "cosine"),
    ):
        assert made(0) == np.float32(made.arguments.get("peak_value", start))
        assert made(steps) == np.float32(end)
        assert made(2**31 - 1) == np.float32(end)


def test_the_last_steps_of_a_long_decay_keep_their_digits():
    steps = 10**6  # where 1 - n / steps is wrong by 1.3 % in float32
    assert s.linear_schedule(1.0, 0.0, steps)(steps - 1) == np.float32(1e-6)
    far = 2**30 + 1  # float32 would round it to 2**30
    assert s.linear_schedule(1.0, 0.0, 4, far)(far + 1) == 0.75
    assert s.piecewise_constant_schedule(1.0, {far: 0.5})(far - 1) == 1.0
    assert s.join_schedules([s.constant_schedule(1.0), s.constant_schedule(2.0)], [far])(far) == 2
    assert s.exponential_decay(1.0, far, 0.5, staircase=True)(far - 1) == 1.0


def test_the_peak_is_the_peak():
    for made in (s.linear_onecycle_schedule(100, 0.3), s.cosine_onecycle_schedule(100, 0.3)):
        assert made(30) == np.float32(0.3)
    assert s.cyclic_schedule(0.1, 0.7, 10)(10) == np.float32(0.7)


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
