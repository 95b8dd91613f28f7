"""Laws: a transformation is told as JSON and made again from it; what cannot be told is named."""

import json

import jax
import pytest
from cases import CASES, PER_EXAMPLE, VARIANTS, Case, ids

import gradchain as gc
from gradchain.tools import ConfigError

ALL = [*CASES, *VARIANTS, *PER_EXAMPLE]


def can_be_told(case: Case) -> bool:
    """Whether every argument is a value: no function of the tests, no array."""
    return case.by_value and not any(isinstance(part, jax.Array) for part in case.parts)


@pytest.mark.filterwarnings("ignore:add_noise. seed is deprecated")
@pytest.mark.parametrize("case", **ids([case for case in ALL if can_be_told(case)]))
def test_what_is_made_from_its_configuration_is_equal(case: Case) -> None:
    tx = case.make()
    text = json.dumps(gc.to_config(tx), allow_nan=False)
    again = gc.from_config(json.loads(text))
    assert again == tx
    assert repr(again) == repr(tx)
    assert gc.to_config(again) == gc.to_config(tx)


@pytest.mark.parametrize("case", **ids([case for case in ALL if not can_be_told(case)]))
def test_what_json_cannot_tell_is_named(case: Case) -> None:
    named = "|".join(case.call)
    with pytest.raises(ConfigError, match=rf"to_config: {case.name}\..*({named}).* is .*JSON cannot tell"):
        gc.to_config(case.make())
