"""A transformation shown as a table, and the papers behind it."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from cases import CASES, Case, ids
from rich.console import Console

import gradchain as gc
from gradchain.tools.cite import papers

PARAMS = {"kernel": jnp.ones((1000, 10)), "bias": jnp.zeros(10)}
LABELS = {"kernel": "matrices", "bias": "rest"}
GROUPED = gc.chain(
    gc.clip_by_global_norm(1.0),
    gc.partition({"matrices": gc.adamw(1e-3, b1=0.8), "rest": gc.sgd(1e-2, momentum=0.9)}, LABELS),
)
SHOWN = """\
transformation       hyperparameters                              state                                 size
clip_by_global_norm  max_norm=1.0                                 no state
partition            param_labels={'kernel': 'matrices', 'bias':  no state
                     'rest'}
  └ matrices.adamw   learning_rate=0.001, b1=0.8                  count: int32[]                         4 B
                     (b2=0.999, eps=1e-08, eps_root=0.0,          mu: float32, like the parameters     40 kB
                     weight_decay=0.0001)                         nu: float32, like the parameters     40 kB
                     sees kernel
  └ rest.sgd         learning_rate=0.01, momentum=0.9             trace: float32, like the parameters   40 B
                     (weight_decay=0.0)
                     sees bias
80 kB in all, 2.00 x the parameters"""


def test_a_chain_is_read_at_a_glance() -> None:
    assert str(gc.describe(GROUPED, PARAMS)) == SHOWN
    shapes = jax.eval_shape(lambda: PARAMS)
    assert str(gc.describe(GROUPED, shapes)) == str(gc.describe(GROUPED, PARAMS))  # nothing is allocated


def test_without_parameters_sizes_are_left_out() -> None:
    text = str(gc.describe(GROUPED))
    assert "mu: like the parameters" in text
    assert "kB" not in text
    assert "sees" not in text


def test_defaults_are_dimmed_and_warnings_stand_out() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tx = gc.accumulate_gradients(gc.chain(gc.scale(2.0), gc.scale_by_adam(), gc.scale(-1.0)), 2)
    found = gc.describe(tx, PARAMS)
    assert "warning: scale(step_size=2.0) has no effect before scale_by_adam()" in str(found)
    html = found._repr_html_()
    assert '<span style="opacity:0.55">(b1=0.9,' in html
    assert re.search(r"color:#b35900\">warning: scale\(step_size=2\.0\) has no effect", html)
    console = Console(force_terminal=True, color_system="truecolor", width=120)
    with console.capture() as captured:
        console.print(found)
    assert "\x1b[2m(b1=0.9" in captured.get()  # dim
    assert "\x1b[33mwarning" in captured.get()


def test_html_is_escaped() -> None:
    tx = gc.named_chain(("<b>", gc.adam(1e-3)))
    assert "&lt;b&gt;.adam" in gc.describe(tx, PARAMS)._repr_html_()


def test_foreign_pairs_tell_what_they_can() -> None:
    tx = gc.chain(optax.clip(1.0), gc.lookahead(optax.sgd(0.1, momentum=0.9), 2, 0.5))
    text = str(gc.describe(tx, PARAMS))
    assert "trace: float32, like the parameters" in text
    assert "sync_period=2" in text
    assert "mu: float32, like the parameters" in str(gc.describe(optax.adam(0.1), PARAMS))


@pytest.mark.parametrize("factory", [gc.muon, gc.mars, gc.normuon, gc.kl_soap, gc.dion])
def test_halves_inside_a_factory_leave_nothing_alone(factory: Callable[..., Any]) -> None:
    text = str(gc.describe(gc.chain(gc.clip(1.0), factory(0.1)), PARAMS))
    assert "leaves alone" not in text


def test_what_nobody_sees_is_left_alone() -> None:
    inner = gc.masked(gc.muon(0.1), {"kernel": True, "bias": False})
    assert gc.describe(inner, PARAMS).alone == {"masked": ["bias"]}
    twice = gc.partition({"matrices": inner, "rest": inner}, LABELS)  # one transformation, two places
    assert gc.describe(twice, PARAMS).alone == {"rest.masked": ["bias"]}
    foreign = gc.chain(optax.clip(1.0), gc.masked(optax.sgd(0.1), {"kernel": False, "bias": True}))
    assert gc.describe(foreign, PARAMS).alone == {"masked": ["kernel"]}


def test_long_groups_are_cut() -> None:
    params = {f"layer_{i}": jnp.ones(2) for i in range(9)}
    labels = {name: "a" if name < "layer_8" else "b" for name in params}
    text = str(gc.describe(gc.partition({"a": gc.adam(0.1), "b": gc.sgd(0.1)}, labels), params))
    assert "sees layer_0, layer_1, layer_2, layer_3, layer_4, layer_5 and 2 more" in text
    assert "sees layer_8" in text


# Papers


def test_the_papers_of_a_chain() -> None:
    text = gc.cite(gc.chain(gc.clip_by_block_rms(1.0), gc.adamw(1e-3), optax.sgd(0.1)))
    keys = re.findall(r"@misc\{(\w+),", text)
    assert keys[:3] == ["shazeer2018adafactor", "loshchilov2017decoupled", "kingma2014adam"]
    assert len(set(keys)) == len(keys)
    assert "title = {{Adafactor: Adaptive Learning Rates with Sublinear Memory Cost}}" in text  # in full
    assert "author = {{Kingma} and {Ba}}" in text
    assert "eprint = {1412.6980}" in text
    assert "% chain: another library's" in text


@pytest.mark.parametrize("name", sorted({case.name for case in CASES}))
def test_every_reference_is_understood(name: str) -> None:
    factory = next(case.factory for case in CASES if case.name == name)
    doc = factory.__doc__ or ""
    found = papers(doc)
    assert bool(found) == ("Reference:" in doc)
    text = " ".join(doc.partition("Reference:")[2].split())
    assert len(found) == len(re.findall(r"(?<!arXiv:)\b(?:19|20)\d\d[,.]", text))
    for paper in found:
        assert paper.authors[0] in text
        assert not paper.arxiv or f"arXiv:{paper.arxiv}" in text
        assert paper.title.strip() == paper.title


@pytest.mark.parametrize("case", **ids(CASES))
def test_every_row_can_be_cited(case: Case) -> None:
    text = gc.cite(case.make())
    assert text.count("{") == text.count("}")
    assert "title = {{}}" not in text
    assert len(re.findall(r"@misc\{\w+\d{4}\w*,", text)) == text.count("@")
