"""Nothing to lose by switching: every public name of Optax 0.2.8 resolves, and accepts what it accepts.

`optax_api.tsv` lists the names; the signatures are read from Optax itself.
"""

import csv
import importlib
import inspect
import warnings
from pathlib import Path
from typing import Any

import optax
import pytest

import gradchain as gc

with (Path(__file__).parent / "optax_api.tsv").open() as file:
    ROWS = [row for row in csv.DictReader(file, delimiter="\t") if row["module"] != "module"]

ABSENT = {("optax", "monte_carlo"): "removed from Optax in 0.2.7; both raise"}


def module_of(row: dict[str, str], root: Any) -> Any:
    """The module a row names, in Optax or in gradchain."""
    path = row["module"].replace("optax", root.__name__, 1)
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:  # Optax's experimental modules are attributes only
        parent, _, name = path.rpartition(".")
        return getattr(importlib.import_module(parent), name)


def resolve(row: dict[str, str], root: Any) -> Any:
    """The object a row names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(module_of(row, root), row["name"])


PRESENT = [row for row in ROWS if (row["module"], row["name"]) not in ABSENT]
NAMES = [f"{row['module']}.{row['name']}" for row in PRESENT]


@pytest.mark.parametrize("row", PRESENT, ids=NAMES)
def test_name_resolves_and_accepts_what_optax_accepts(row: dict[str, str]) -> None:
    ours = resolve(row, gc)
    if row["kind"] in ("typealias", "protocol", "module"):
        return
    theirs = resolve(row, optax)
    if row["kind"] == "namedtuple":
        assert ours._fields[: len(theirs._fields)] == theirs._fields
        extra = set(ours._fields) - set(theirs._fields)
        assert extra <= set(ours._field_defaults), f"{row['name']}: new fields need defaults"
        return
    if inspect.isclass(theirs):
        for method in [m for m in vars(theirs) if not m.startswith("_")]:
            assert hasattr(ours, method), f"{row['name']} has no {method}"
    check_signature(inspect.signature(ours), inspect.signature(theirs))


def check_signature(ours: inspect.Signature, theirs: inspect.Signature) -> None:
    """Every way of passing an argument that Optax accepts, gradchain accepts, to the same default."""
    mine = list(ours.parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in mine) and any(p.kind is p.VAR_POSITIONAL for p in mine):
        return
    positional = [p for p in mine if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for i, p in enumerate(theirs.parameters.values()):
        if p.kind is p.VAR_POSITIONAL:
            assert any(q.kind is q.VAR_POSITIONAL for q in mine), f"{p} is missing"
            continue
        if p.kind is p.VAR_KEYWORD:
            assert any(q.kind is q.VAR_KEYWORD for q in mine), f"{p} is missing"
            continue
        assert p.name in ours.parameters, f"argument {p.name} is missing"
        q = ours.parameters[p.name]
        if p.kind is p.POSITIONAL_OR_KEYWORD:
            assert positional[i].name == p.name, f"argument {i} is {positional[i].name}, not {p.name}"
        if p.default is not p.empty:
            assert q.default is not q.empty, f"{p.name} has no default"
            plain = (int, float, str, bool, type(None), tuple)
            if isinstance(p.default, plain) and not callable(p.default) and not hasattr(p.default, "init"):
                assert q.default == p.default, f"{p.name}={q.default!r}, not {p.default!r}"
    names = set(theirs.parameters)
    for q in mine:
        if q.name not in names and q.kind in (q.POSITIONAL_OR_KEYWORD, q.KEYWORD_ONLY):
            assert q.default is not q.empty, f"the new argument {q.name} needs a default"


def test_counts(capsys: pytest.CaptureFixture[str]) -> None:
    missing = []
    for row, name in zip(PRESENT, NAMES, strict=True):
        try:
            resolve(row, gc)
        except (AttributeError, ImportError):
            missing.append(name)
    with capsys.disabled():
        print(
            f"\nOptax 0.2.8: {len(ROWS)} names, {len(PRESENT) - len(missing)} present, "
            f"{len(ABSENT)} absent on purpose ({', '.join('.'.join(k) for k in ABSENT)}), "
            f"{len(missing)} missing"
        )
    assert not missing, missing


DEPRECATED = [r for r in PRESENT if r["deprecated"] == "yes"]


@pytest.mark.parametrize("row", DEPRECATED, ids=lambda r: r["name"])
def test_deprecated_names_warn_and_name_the_replacement(row: dict[str, str]) -> None:
    with pytest.warns(DeprecationWarning, match=r"use gradchain\.\w+"):
        getattr(module_of(row, gc), row["name"])


WARNS = [
    "gc.add_noise(0.37, 0.55, seed=1)",
    "gc.contrib.differentially_private_aggregate(1.37, 0.5, seed=1)",
    "gc.contrib.differentially_private_aggregate(1.37, 0.5)",
    "gc.dpsgd",
    "from gradchain import dpsgd",
    "from gradchain.second_order import hvp",
    "gc.chain(gc.sgd(0.37), gc.adam(0.37))",
]


@pytest.mark.parametrize("line", WARNS)
def test_warnings_name_the_users_line(line: str) -> None:
    user = {"__name__": "__main__", "gc": gc}
    code = compile(f"\n\n{line}\n", "user.py", "exec")
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()  # then Python's own filters: deprecations are shown in __main__ only
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")
        exec(code, user)
    assert {(warning.filename, warning.lineno) for warning in caught} == {("user.py", 3)}


def test_a_removed_name_stays_an_error() -> None:
    with pytest.raises(AttributeError, match="Optax removed it"):
        gc.monte_carlo  # noqa: B018
    with pytest.raises(AttributeError, match=r"no name 'adm'\. Did you mean 'adam'"):
        gc.adm  # noqa: B018
