"""The pages on frameworks: their examples train, read learning rates, group by name, save."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

PAGES = Path(__file__).parent.parent / "docs" / "frameworks"
NEEDS = {
    "equinox": ["equinox"],
    "haiku": ["haiku", "flax"],
    "jax": ["orbax.checkpoint"],
    "linen": ["flax"],
    "nnx": ["flax", "orbax.checkpoint"],
}


def test_every_page_is_tried() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_examples_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for module in NEEDS[name]:
        pytest.importorskip(module)
    page = (PAGES / f"{name}.md").read_text()
    assert len(page.splitlines()) <= 60
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    space: dict[str, object] = {"__name__": "example"}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        exec(compile(code, f"{name}.md", "exec"), space)
    default, biases = map(float, capsys.readouterr().out.split())
    assert default == pytest.approx(0.05, rel=1e-5)  # half way down a cosine
    assert biases == pytest.approx(default / 2, rel=1e-5)
    held = (
        space["optimizer"] if name == "nnx" else space["state"] if name == "linen" else space["opt_state"]
    )
    counts = [x for x in jax.tree.leaves(getattr(held, "opt_state", held)) if np.ndim(x) == 0]
    assert {int(x) for x in counts} == {50}  # what was saved is what was restored
