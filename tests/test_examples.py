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


def test_every_factory_has_an_example() -> None:
    assert len(FACTORIES) > 200, "the factories are found no longer"
    assert set(FACTORIES) - set(EXAMPLES) == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    doc = EXAMPLES[name]
    written = example_of(doc)
    assert doc.count(">>> ") == written.count(">>> "), (
        "an example stands below `Example:`, set off by a line"
    )
    assert all(line.startswith("    ") for line in written.splitlines()), "the example stands last"
    assert 2 <= len(written.splitlines()) <= 8
    names = {"gc": gc, "jax": jax, "jnp": jnp}
    test = doctest.DocTestParser().get_doctest(written, names, name, None, 0)
    told = io.StringIO()
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.write)
    assert any(example.want for example in test.examples), "the example shows nothing"
    assert result.failed == 0, told.getvalue()
