"""Every factory's docstring has an example, and it says what happens."""

import doctest
import inspect
import io

import jax
import jax.numpy as jnp
import pytest
from examples import FACTORIES, FUNCTIONS, example_of

import gradchain as gc

EXAMPLES = {name: inspect.getdoc(f) or "" for name, f in FUNCTIONS.items() if ">>> " in (f.__doc__ or "")}
NONE_YET: set[str] = set(
    """accumulate_avg_updates adagc add_mean_variance_to_opt average_incrementally_updates average_per_element_updates chain dynamic_loss_scale from_config get_per_element_mean_and_sum_sq_diff_grads grams identity kahan kl_shampoo kl_soap lamb laprop lars lbfgs leafwise lion logged madgrad mars mezo momo momo_adam muon nadam nadamw named_chain noisy_sgd normuon novograd offload_state optimistic_adam_v2 optimistic_gradient_descent polyak_sgd process prodigy psgd_kron qhadam qhm quantize_state radam ranger reset_moments rmsprop rprop scale_by_backtracking_linesearch scale_by_grams scale_by_kron scale_by_laprop scale_by_lbfgs scale_by_lion scale_by_madgrad scale_by_mars scale_by_novograd scale_by_polyak scale_by_qhadam scale_by_qhm scale_by_rprop scale_by_scion scale_by_sgdp scale_by_shampoo scale_by_simplified_ademamix scale_by_sm3 scale_by_soap scale_by_sophia scale_by_spam scale_by_stable_adam scale_by_stable_spam scale_by_stddev scale_by_swats scale_by_tiger scale_by_yogi scale_by_zoom_linesearch schedule_free_adamw schedule_free_sgd scion set_to_zero sgd sgdp shampoo sign_sgd signum simplified_ademamix skip_outliers sm3 soap sophia spam spsa stable_adamw stable_spam stateless stateless_with_tree_map stochastic_rounding swats tiger track_per_element_mean_and_variance_with_ema with_extra_args_support with_master_weights with_split_weights yogi zclip zero1""".split()
)
"""Factories without an example, and there should be none."""


def test_every_factory_has_an_example() -> None:
    assert set(FACTORIES) - set(EXAMPLES) == NONE_YET


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    doc = EXAMPLES[name]
    written = example_of(doc)
    assert 2 <= len(written.rstrip().splitlines()) <= 8
    assert doc.count(">>> ") == written.count(">>> "), "an example stands below `Example:`"
    names = {"gc": gc, "jax": jax, "jnp": jnp}
    test = doctest.DocTestParser().get_doctest(written, names, name, None, 0)
    told = io.StringIO()
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.write)
    assert result.attempted > 0
    assert any(example.want for example in test.examples), "the example shows nothing"
    assert result.failed == 0, told.getvalue()
