"""`parse` is the inverse of `repr`, and refuses everything else by saying where and why."""

import pytest

import gradchain as gc
from gradchain.tools.makers import makers
from gradchain.tools.parse import ParseError, parse


@pytest.mark.parametrize(
    "tx",
    [
        gc.adam(1e-3),
        gc.adam(1e-3, b1=0.8, mu_dtype="bfloat16"),
        gc.sgd(0.1, momentum=0.9, nesterov=True),
        gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(3e-4)),
        gc.chain(gc.chain(gc.scale_by_adam()), gc.scale(-0.5)),
        gc.adamw(1e-3, mask={"w": True, "b": [False, (True,)]}),
        gc.clip(float("inf")),
        gc.adam(gc.cosine_decay_schedule(1e-3, 100)),
        gc.chain(gc.scale_by_schedule(gc.linear_schedule(1.0, 0.0, 10)), gc.scale(-1.0)),
    ],
    ids=repr,
)
def test_parse_inverts_repr(tx):
    assert parse(repr(tx)) == tx


def test_parse_reads_over_several_lines():
    assert parse("\n chain(\n  clip(1.0),\n  sgd(0.1),\n)\n") == gc.chain(gc.clip(1.0), gc.sgd(0.1))


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("adamm(1e-3)", 1, "no transformation or schedule 'adamm'. Did you mean 'adam'?"),
        ("chain(clip(1.0), sdg(0.1))", 18, "Did you mean 'sgd'?"),
        ("chain(clip(1.0), adam)", 18, "'adam' is not called: write adam(...)."),
        ("adam(1e-3", 5, "was never closed"),
        ("adam(1e-3))", 11, "unmatched ')'"),
        ("adam(1e-3 b1=0.9)", 6, "invalid syntax"),
        ("adam(1e-3, b1=0.8, b1=0.9)", 20, "repeated"),
        ("adam(1 + 1)", 6, "an operator cannot be used here"),
        ("adam(not True)", 6, "an operator cannot be used here"),
        ("adam(-'x')", 6, "an operator cannot be used here"),
        ("gc.adam(0.1)", 1, "a call of anything but a name"),
        ("adam(jnp.inf)", 6, "an attribute ('.')"),
        ("adam(lambda t: t)", 6, "a lambda"),
        ("chain(*[adam(0.1)])", 7, "'*'"),
        ("adam(**{'learning_rate': 0.1})", 8, "'**'"),
        ("chain([adam(r) for r in (1, 2)])", 7, "a comprehension"),
        ("adam(f'{1}')", 6, "an f-string"),
        ("adam(x[0])", 6, "an index"),
        ("adam((r := 0.1))", 7, "an assignment"),
        ("adam({1, 2})", 6, "a set"),
        ("adam(0.1 if True else 0.2)", 6, "a condition"),
        ("adam({[1]: 2})", 7, "a dictionary's key"),
        ("adam({**{}})", 6, "'**'"),
        ("adam(...)", 6, "cannot be used here"),
        ("adam(b'x')", 6, "cannot be used here"),
        ("__import__('os')", 1, "no transformation or schedule '__import__'"),
        ("eval('1')", 1, "no transformation or schedule 'eval'"),
        ("chain(apply_updates(1, 2))", 7, "apply_updates does not make a transformation"),
        ("0.5", 1, "expected a transformation such as adam(0.001), found the value 0.5"),
        ("constant_schedule(0.5)", 1, "found a schedule"),
        ("adam(1e-3, b3=0.5)", 1, "b3"),
        ("adam()", 1, "learning_rate"),
        ("chain(clip(1.0), adam(1e-3, b1=1.5))", 18, "b1"),
        ("adam('é', adamm(1))", 11, "Did you mean 'adam'?"),
    ],
)
def test_parse_says_where_and_why(text, column, words):
    with pytest.raises(ParseError) as error:
        parse(text)
    message, line, carets = str(error.value).split("\n")
    assert message.startswith(f"parse: column {column}: ")
    assert words in message
    assert line == f"  {text}"
    assert carets.index("^") == column + 1


def test_parse_counts_lines():
    with pytest.raises(ParseError, match=r"line 2, column 3.*'sgdd'"):
        parse("chain(\n  sgdd(0.1))")


@pytest.mark.parametrize(
    "text",
    ["", "  ", "(" * 5000, "chain(" * 900 + ")" * 900, "-" * 9000 + "1", "a" * 20_000, "\0"],
    ids=["empty", "blank", "brackets", "calls", "signs", "long", "null"],
)
def test_parse_refuses_monsters(text):
    with pytest.raises(ParseError):
        parse(text)


def test_a_complaint_of_the_transformation_is_kept_as_the_cause():
    with pytest.raises(ParseError) as error:
        parse("adam(1e-3, b1=1.5)")
    assert isinstance(error.value.__cause__, ValueError)
    assert str(error.value.__cause__) in str(error.value)


def test_makers_are_transformations_and_schedules_only():
    found = makers(gc)
    assert {"adam", "chain", "clip", "cosine_decay_schedule"} <= set(found)
    assert not {"apply_updates", "squared_error", "parse", "GradientTransformation"} & set(found)
