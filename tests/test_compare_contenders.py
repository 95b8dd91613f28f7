"""Who can take part: every optimizer of the library, at which rates, trained and measured as it asks."""

import dataclasses
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradchain as gc
import gradchain.optimizers
from gradchain.compare import models, tasks
from gradchain.compare.contenders import Contender, choose
from gradchain.compare.data import Data, Split
from gradchain.compare.errors import CompareError
from gradchain.compare.rates import GRID, learning_rate, with_learning_rate
from gradchain.compare.runner import Trainer
from gradchain.tools.xla_flags import MULTI_OUTPUT_FUSION, compiler_options

TASK = dataclasses.replace(tasks.TASKS["digits"], model=models.MLP(4, 3))
NAMES = [
    name
    for name in sorted(module.name for module in pkgutil.iter_modules(gradchain.optimizers.__path__))
    if inspect.isfunction(getattr(gradchain.optimizers, name, None))
    and name != "nnls"  # solves one problem, and is no transformation
]


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(20, 6)).astype(np.float32)
    part = Split(inputs, inputs[:, :3].argmax(1).astype(np.int32))
    return Trainer(TASK, Data(part, part, part), batch_size=5, epochs=2, seeds=2)


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_of_the_library_can_take_part(trainer, name):
    (contender,) = choose(name, "defaults", rates="best")
    trainer.check(contender)
    assert contender.rates in (GRID, None)
    assert (contender.rates is None) == (name in ("lbfgs", "polyak_sgd"))


def test_all_optimizers_are_meant():
    assert len(NAMES) > 45
    assert {"cocob", "dpsgd", "lbfgs", "momo", "muon", "schedule_free_adamw", "sophia"} <= set(NAMES)


@pytest.mark.parametrize(
    ("words", "beside", "tried"),
    [
        ("adam", 0.001, 12),  # the preset's, and on the grid
        ("adamax", 0.002, 13),
        ("cocob", 1.0, 12),  # the factory's own
        ("schedule_free_adamw", 0.0025, 13),
        ("lion", None, 12),  # it has none
        ("chain(clip(1.0), sgd(0.25))", 0.25, 13),
        ("lookahead(sgd(0.2), 2, 0.5)", 0.2, 13),
        ("adafactor", 1.0, 12),
    ],
)
def test_the_default_rate_is_tried_beside_the_grid(words, beside, tried):
    (contender,) = choose(words, "defaults", rates="best")
    assert contender.rates == GRID
    assert contender.beside == beside
    assert len(contender.tried) == len(set(contender.tried)) == tried
    assert contender.tried[:12] == GRID
    assert beside is None or beside in contender.tried


@pytest.mark.parametrize(
    "words",
    ["chain(clip(1.0), scale(-0.1))", "polyak_sgd", "lbfgs", "adam(cosine_decay_schedule(0.1, 10))"],
)
def test_whoever_has_no_one_rate_is_left_as_it_is(words):
    (contender,) = choose(words, "defaults", rates="best")
    assert contender.tried == (None,)
    assert contender.at(0.5) == contender.tx


def test_the_rate_counts_that_moves_the_parameters():
    free = gc.schedule_free(gc.sgd(0.1), 0.1)
    assert with_learning_rate(free, 0.2) == gc.schedule_free(gc.sgd(0.2), 0.2)
    sam = gc.sam(gc.adam(0.1), gc.sgd(0.05))
    assert learning_rate(sam) == 0.1
    assert with_learning_rate(sam, 0.2) == gc.sam(gc.adam(0.2), gc.sgd(0.05))
    named = gc.named_chain(("clip", gc.clip(1.0)), ("sgd", gc.sgd(0.1)))
    assert with_learning_rate(named, 0.2) == gc.named_chain(("clip", gc.clip(1.0)), ("sgd", gc.sgd(0.2)))


def test_the_keras_preset_keeps_its_constants_at_other_rates():
    (contender,) = choose("adam", "keras", rates="best")
    assert contender.rates == GRID
    assert contender.at(0.1) == gc.adam(0.1, eps=1e-7)
    (fixed,) = choose("adam", "keras")
    assert fixed.tried == (None,)
    assert fixed.at(0.1) == gc.adam(0.001, eps=1e-7)


def test_line_searches_are_compiled_without_joined_loops(monkeypatch):
    # With them, XLA ends the process: Check failed: GetNumDims() == other.GetNumResults().
    (search,) = choose("lbfgs", "defaults")
    (plain,) = choose("adam", "defaults")
    monkeypatch.setenv("XLA_FLAGS", f"{MULTI_OUTPUT_FUSION} --xla_other=1")
    assert compiler_options(search.tx) == {"xla_backend_extra_options": ""}
    assert compiler_options(plain.tx) is None
    monkeypatch.setenv("XLA_FLAGS", "--xla_other=1")
    assert compiler_options(search.tx) is None


def test_dpsgd_has_a_gradient_of_each_example(trainer):
    (contender,) = choose("dpsgd", "defaults", rates="default")
    assert contender.per_example
    assert not choose("adam", "defaults")[0].per_example
    # Without noise and with a wide clip, it is gradient descent.
    private = Contender("dpsgd", gc.contrib.dpsgd(0.1, 1e6, 0.0, seed=0))
    ours, plain = (trainer.run(c).params for c in (private, Contender("sgd", gc.sgd(0.1))))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, plain)


def test_schedule_free_is_measured_where_it_averages(trainer):
    tx = gc.schedule_free_sgd(0.5)
    history = trainer.run(Contender("schedule_free_sgd", tx))
    params = jax.tree.map(lambda p: p[0], trainer.params)
    state, update = tx.init(params), jax.jit(tx.update)
    inputs, targets = (jnp.asarray(a) for a in trainer.data.train)
    slope = jax.jit(jax.grad(trainer.loss))
    for epoch in range(2):
        for chosen in trainer.order(epoch)[:, 0]:
            updates, state = update(slope(params, inputs[chosen], targets[chosen]), state, params)
            params = gc.apply_updates(params, updates)
    averaged = gc.eval_params(state, params)
    loss = trainer.loss(averaged, inputs, targets)
    np.testing.assert_allclose(history.loss[2, 0, 0], loss, rtol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0, 0], b, rtol=1e-3, atol=1e-5), history.params, averaged
    )
    assert abs(float(trainer.loss(params, inputs, targets) - loss)) > 1e-3


def test_a_word_that_is_no_optimizer():
    with pytest.raises(CompareError, match="unknown optimizer 'scale_by_rprop'"):
        choose("scale_by_rprop", "defaults")
    with pytest.raises(CompareError, match="unknown optimizer 'nnls'"):
        choose("nnls", "defaults")
