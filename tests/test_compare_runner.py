"""Training side by side is training one by one, in one compiled program."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import gradchain as gc
from gradchain.compare import models, rates, tasks
from gradchain.compare.contenders import Contender, choose, split_commas
from gradchain.compare.data import Data, Split, hold_out
from gradchain.compare.errors import CompareError
from gradchain.compare.ranking import rank
from gradchain.compare.rates import GRID
from gradchain.compare.results import divergence, summarize
from gradchain.compare.runner import Trainer


def small_data(examples: int = 40, classes: int = 3) -> Data:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(examples, 6)).astype(np.float32)
    targets = inputs[:, :classes].argmax(1).astype(np.int32)
    rest, test = hold_out(Split(inputs, targets), 0.2)
    return Data(*hold_out(rest, 0.2), test)


TASK = dataclasses.replace(tasks.TASKS["digits"], model=models.MLP(4, 3), target=0.75)


def trainer(**changes) -> Trainer:
    options = {"batch_size": 5, "epochs": 2, "seeds": 2} | changes
    return Trainer(TASK, small_data(), **options)


@pytest.mark.parametrize("batch_size", [1, 5, 26], ids=["single", "mini", "full"])
@pytest.mark.parametrize("tx", [gc.adam(1.0), gc.sgd(1.0, momentum=0.9)], ids=repr)
def test_side_by_side_equals_one_by_one(tx, batch_size):
    both = trainer(batch_size=batch_size)
    rates = (0.01, 0.1)
    history = both.run(Contender("x", tx, rates))
    inputs, targets = (jnp.asarray(a) for a in both.data.train)
    slope = jax.jit(jax.value_and_grad(both.loss))
    assert len(history.step_loss) == 2 * (len(both.data.train) // batch_size)
    for r, rate in enumerate(rates):
        alone = tx.replace(learning_rate=rate)
        update = jax.jit(alone.update)
        for seed in range(2):
            params = jax.tree.map(lambda p, seed=seed: p[seed], both.params)
            state, losses = alone.init(params), []
            for epoch in range(2):
                for chosen in both.order(epoch)[:, seed]:
                    loss, grads = slope(params, inputs[chosen], targets[chosen])
                    updates, state = update(grads, state, params)
                    params = gc.apply_updates(params, updates)
                    losses.append(float(loss))
            np.testing.assert_allclose(history.step_loss[:, r, seed], losses, rtol=1e-4, atol=1e-6)
            jax.tree.map(
                lambda ours, theirs, r=r, seed=seed: np.testing.assert_allclose(
                    ours[r, seed], theirs, rtol=1e-3, atol=1e-5
                ),
                history.params,
                params,
            )


def test_one_optimizer_is_one_compiled_program():
    class Counting(Trainer):
        traces = 0

        def step(self, *args):
            self.traces += 1
            return super().step(*args)

    counting = Counting(TASK, small_data(), batch_size=5, epochs=4, seeds=3)
    adam = Contender("adam", gc.adam(1.0), GRID)
    counting.check(adam)
    history = counting.run(adam)
    assert counting.traces == 2  # to check; to train 4 epochs with 3 seeds and 12 learning rates
    assert history.step_loss.shape == (20, len(GRID), 3)
    counting.run(Contender("sgd", gc.sgd(1.0), GRID))
    assert counting.traces == 3
    assert counting.measurement.program._cache_size() == 1  # the measuring program serves every optimizer


def test_measuring_more_often_changes_no_run():
    once = trainer(batch_size=13)
    often = Trainer(dataclasses.replace(TASK, rounds=2), small_data(), batch_size=13, epochs=2, seeds=2)
    one, other = (t.run(Contender("adam", gc.adam(0.1))) for t in (once, often))
    assert (once.steps, often.steps, often.steps_per_round) == (4, 4, 1)
    np.testing.assert_allclose(one.step_loss, other.step_loss, rtol=1e-5)
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-5)
    np.testing.assert_allclose(one.test_loss, other.test_loss[::2], rtol=1e-5)
    assert (len(one.test_loss), len(other.test_loss)) == (3, 5)
    np.testing.assert_array_equal(other.test_loss[-1], other.loss[2])


def test_what_fills_up_the_last_piece_is_not_measured():
    both = trainer()
    parts = both.measurement.sizes
    assert len({size % 26 for size in parts}) > 1  # so that some piece is filled up
    loss, score = both.measurement.all(jax.tree.map(lambda p: p[None], both.params))
    for i, part in enumerate((both.data.train, both.data.validation, both.data.test)):
        for seed in range(2):
            predictions = both.predict(jax.tree.map(lambda p, seed=seed: p[seed], both.params), part.inputs)
            np.testing.assert_allclose(
                loss[i, 0, seed], TASK.loss(predictions, part.targets).mean(), rtol=1e-5
            )
            np.testing.assert_allclose(
                score[i, 0, seed], (predictions.argmax(-1) == part.targets).mean(), rtol=1e-6
            )


def test_every_example_is_seen_once_an_epoch_in_an_order_of_its_own():
    both = trainer(batch_size=13)
    orders = [both.order(epoch) for epoch in (0, 1)]
    assert orders[0].shape == (2, 2, 13)
    for order in orders:
        for seed in range(2):
            assert sorted(order[:, seed].ravel()) == list(range(26))
    assert (orders[0] != orders[1]).any()
    assert (orders[0][:, 0] != orders[0][:, 1]).any()
    np.testing.assert_array_equal(orders[0], both.order(0))


def test_seeds_differ_and_optimizers_start_alike():
    both = trainer()
    one, other = (both.run(Contender(n, getattr(gc, n)(0.1))) for n in ("sgd", "adam"))
    np.testing.assert_array_equal(one.test_loss[0], other.test_loss[0])
    assert one.test_loss[0, 0, 0] != one.test_loss[0, 0, 1]


def test_state_bytes_are_those_of_one_run():
    both = trainer()
    count = (6 * 4 + 4) + (4 * 3 + 3)
    assert both.parameters == count
    assert both.run(Contender("sgd", gc.sgd(0.1), (0.1, 0.2))).state_bytes == 0
    momentum = both.run(Contender("momentum", gc.sgd(0.1, momentum=0.9), (0.1, 0.2, 0.3)))
    assert momentum.state_bytes == 4 * count


def test_a_divergence_is_dated_and_spoils_no_mean():
    both = trainer(epochs=3)
    history = both.run(Contender("sgd", gc.sgd(1.0), (0.1, 1e30)))
    dated = divergence(history)
    assert (dated[0] == 0).all()
    for seed in range(2):
        step = dated[1, seed]
        assert np.isfinite(history.step_loss[: step - 1, 1, seed]).all()
        assert not np.isfinite(history.step_loss[step - 1, 1, seed])
    result = summarize(TASK, both.data, history)
    assert result.learning_rate == 0.1
    assert result.divergences == []
    assert result.sweep[1].diverged == 2
    assert result.sweep[1].test.mean is None

    # One lost seed leaves the mean to the others.
    history.step_loss[4:, 0, 1] = np.nan
    history.test_loss[2:, 0, 1] = np.nan
    history.loss[:, 0, 1] = np.nan
    recorded = ("step_loss", "test_loss", "test_score", "loss", "score")
    alone = dataclasses.replace(
        history,
        contender=Contender("sgd", gc.sgd(1.0), (0.1,)),
        rates=(0.1,),
        **{name: getattr(history, name)[..., :1, :] for name in recorded},
    )
    lost = summarize(TASK, both.data, alone)
    assert lost.diverged_at == (None, 5)
    assert lost.test_loss.mean == pytest.approx(float(history.loss[2, 0, 0]))
    ranked = rank(TASK, [lost, result])  # who diverged comes last
    assert [(r.place, r.diverged_at) for r in ranked] == [("1", (None, None)), ("2", (None, 5))]


def test_a_run_lost_by_its_last_update_is_dated_to_it():
    both = trainer(epochs=1, batch_size=26)  # a single step
    history = both.run(Contender("sgd", gc.sgd(1.0), (float(np.finfo(np.float32).max),)))
    assert np.isfinite(history.step_loss).all()
    assert (divergence(history) == 1).all()


def test_the_target_is_dated_in_steps():
    both = trainer(epochs=3)
    history = both.run(Contender("adam", gc.adam(0.05)))
    history.test_score[:, 0] = [[0.1, 0.1], [0.2, 0.5], [0.8, 0.6], [0.7, 0.7]]
    result = summarize(TASK, both.data, history)  # the target is 0.75
    assert result.target_steps == (2 * both.steps_per_epoch, None)
    assert result.steps_to_target is None  # only half of the seeds reached it
    history.test_score[3, 0] = 0.75
    assert summarize(TASK, both.data, history).steps_to_target == 2.5 * both.steps_per_epoch


def test_a_sweep_chooses_on_validation():
    both = trainer(epochs=3)
    history = both.run(Contender("sgd", gc.sgd(1.0), (1e-6, 0.3)))
    history.score[1] = [[0.9, 0.9], [0.8, 0.8]]  # validation prefers the first rate,
    history.score[2] = [[0.1, 0.1], [0.9, 0.9]]  # the test the second
    assert summarize(TASK, both.data, history).learning_rate == 1e-6


def test_the_exact_solution_is_at_distance_zero():
    task = dataclasses.replace(tasks.TASKS["regression"])
    random = np.random.default_rng(0)
    inputs = random.normal(size=(30, 2)).astype(np.float32)
    part = Split(inputs, (inputs @ [1.0, -2.0] + 0.5).astype(np.float32))
    regression = Trainer(task, Data(part, part, part), batch_size=30, epochs=300, seeds=2)
    result = summarize(task, regression.data, regression.run(Contender("sgd", gc.sgd(0.3), (1e-9, 0.3))))
    assert result.learning_rate == 0.3
    assert result.distance is not None
    assert result.distance.mean == pytest.approx(0, abs=1e-5)
    untrained = regression.run(Contender("sgd", gc.sgd(0.0)))
    far = summarize(task, regression.data, untrained).distance
    # From the zero function the distance is the root mean square of the exact predictions.
    assert far is not None
    assert far.mean == pytest.approx(np.sqrt(np.mean(part.targets.astype(float) ** 2)), rel=1e-5)


def test_a_place_of_the_transformer_knows_nothing_of_later_ones():
    model = models.Transformer(5, width=8, layers=2, heads=2)
    text = jnp.array([[0, 1, 2, 3, 4, 0]])
    params = model.init(jax.random.key(0), text)
    first, changed = (model.apply(params, t) for t in (text, text.at[0, 3].set(1)))
    np.testing.assert_allclose(first[:, :3], changed[:, :3], rtol=1e-6)
    assert (jnp.abs(first[:, 3:] - changed[:, 3:]) > 1e-4).any(-1).all()


def test_the_gates_of_the_recurrent_network_are_flax_own():
    x = jax.random.normal(jax.random.key(0), (3, 8))
    params = models.RNN(4, 5, 2).init(jax.random.key(1), x)["params"]
    read, remember = params["read"], params["remember"]
    r, z, n = (slice(5 * i, 5 * i + 5) for i in range(3))
    cell = {
        f"i{gate}": {k: v[..., s] for k, v in read.items()}
        for gate, s in zip("rzn", (r, z, n), strict=True)
    }
    cell |= {f"h{gate}": {"kernel": remember["kernel"][:, s]} for gate, s in zip("rz", (r, z), strict=True)}
    cell["hn"] = {k: v[..., n] for k, v in remember.items()}
    state = jnp.zeros((3, 5))
    for row in range(4):
        state, _ = nn.GRUCell(5).apply({"params": cell}, state, x.reshape(3, 4, 2)[:, row])
    theirs = nn.Dense(2).apply({"params": params["Dense_0"]}, state)
    np.testing.assert_allclose(
        models.RNN(4, 5, 2).apply({"params": params}, x), theirs, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", ["images", "sequence"])
def test_the_other_models_learn(name):
    task = tasks.TASKS[name]
    digits = tasks.load(task, None)
    few = Data(*(Split(s.inputs[:64], s.targets[:64]) for s in digits))
    history = Trainer(task, few, batch_size=16, epochs=6, seeds=2).run(Contender("adam", gc.adam(0.01)))
    assert (history.test_loss[-1] < 0.8 * history.test_loss[0]).all()


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 3)])
def test_a_shifted_convolution_is_a_convolution(strides):
    keys = jax.random.split(jax.random.key(0))
    x, kernel = jax.random.normal(keys[0], (2, 5, 6, 3)), jax.random.normal(keys[1], (3, 3, 3, 4))
    theirs = jax.lax.conv_general_dilated(
        x, kernel, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(
        models.shifted_convolution(x, kernel, strides, "SAME"), theirs, rtol=1e-4, atol=1e-5
    )


def test_commas_inside_brackets_and_quotes_do_not_split():
    text = "adam,chain(clip(1.0), sgd(0.1)) , x({'a': [1, 2]}, 'b,)')"
    assert split_commas(text) == ["adam", "chain(clip(1.0), sgd(0.1))", "x({'a': [1, 2]}, 'b,)')"]


def test_the_rate_of_the_last_link_is_replaced():
    tx = gc.chain(gc.clip(1.0), gc.chain(gc.adam(0.1), gc.trace(0.5)))
    changed = gc.chain(gc.clip(1.0), gc.chain(gc.adam(0.2), gc.trace(0.5)))
    assert rates.with_learning_rate(tx, 0.2) == changed
    assert rates.learning_rate(tx) == 0.1
    assert rates.with_learning_rate(gc.chain(gc.clip(1.0), gc.scale(-0.1)), 0.2) is None


def test_schedules_multiply_the_rate_and_clipping_comes_first():
    contender = Contender("sgd", gc.sgd(0.4), (0.4,), lambda count: 0.5**count, clip=1.0)
    tx = contender.at(0.4)
    params = jnp.zeros(2)
    state = tx.init(params)
    for expected in (0.4, 0.2, 0.1):
        updates, state = tx.update(jnp.array([30.0, 40.0]), state, params)
        np.testing.assert_allclose(updates, [-0.6 * expected, -0.8 * expected], rtol=1e-5)
    assert contender.code(0.4) == "chain(clip_by_global_norm(max_norm=1.0), sgd(learning_rate=0.4))"


@pytest.mark.parametrize("option", [{"rate": 0.1}, {"schedule": lambda c: c}])
def test_a_chain_without_a_rate_cannot_have_it_varied(option):
    words = "--learning-rate" if "rate" in option else "--sched"
    with pytest.raises(CompareError, match=f"{words}.*no link of chain"):
        choose("chain(clip(1.0), scale(-0.1))", "defaults", **option)
