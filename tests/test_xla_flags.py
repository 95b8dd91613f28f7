"""XLA's flags: recommended, merged into the environment in time, and never one that ends the process.

XLA reads them once per process, so what is to be started is started in processes of their own.
"""

import importlib
import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace
from typing import Any

import jaxlib
import pytest

import gradchain as gc

flags = importlib.import_module("gradchain.tools.xla_flags")
FUSION, REGIONS = flags.MULTI_OUTPUT_FUSION, flags.REGION_ANALYSIS
OPTIONS, FUSES = FUSION.split("=", 1)


@pytest.fixture(autouse=True)
def _newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """All flags are known, whatever is installed, and no process is asked."""
    monkeypatch.setitem(flags.CHECKED, jaxlib.__version__, (FUSION, REGIONS))


@pytest.fixture
def unstarted(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As if nothing had been computed, with an empty variable."""
    monkeypatch.setattr(flags, "_has_started", lambda: False)
    monkeypatch.setenv("XLA_FLAGS", "")
    return monkeypatch


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a Python without the flags under which the tests run."""
    env = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=env | environment, capture_output=True, text=True, check=False)


def test_each_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    both = f"{FUSION} {REGIONS}"
    assert gc.xla_flags("cpu") == gc.tools.xla_flags("CPU") == both
    assert gc.xla_flags("gpu") == gc.xla_flags("cuda") == gc.xla_flags("tpu") == ""
    for asked, expected in [("cpu", both), (None, both), ("cuda,cpu", ""), ("tpu", ""), ("other", "")]:
        monkeypatch.setattr(flags, "jax", SimpleNamespace(config=SimpleNamespace(jax_platforms=asked)))
        assert gc.xla_flags() == expected


@pytest.mark.parametrize("platform", ["cpus", "", 3, ["cpu"]])
@pytest.mark.parametrize("function", [gc.xla_flags, gc.use_xla_flags])
def test_another_platform_is_refused(function: Any, platform: Any) -> None:
    with pytest.raises(
        ValueError, match=f"{function.__name__}: platform must be 'cpu', 'gpu' or 'tpu', rec"
    ):
        function(platform)


def test_every_flag_is_described_and_none_is_set_by_an_import() -> None:
    for table in flags.FLAGS.values():
        for flag, meaning in table.items():
            assert flag.startswith("--")
            assert meaning.endswith(".")
            assert flag in " ".join((gc.xla_flags.__doc__ or "").split())
    known = {flag for table in flags.FLAGS.values() for flag in table}
    assert all(known.issuperset(checked) for checked in flags.CHECKED.values())
    done = python("import os, gradchain; print(os.environ.get('XLA_FLAGS'))")
    assert done.stdout == "None\n", done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{FUSION} {REGIONS}"),
        (" --xla_a=1", f"--xla_a=1 {FUSION} {REGIONS}"),
        (f"--xla_a=1 {FUSION}", f"--xla_a=1 {FUSION} {REGIONS}"),
        (f"{OPTIONS}=xla_b=2 --xla_a", f"{OPTIONS}=xla_b=2,{FUSES} --xla_a {REGIONS}"),
        (f"{OPTIONS}='xla_b, xla_c'  --xla_a", f"{OPTIONS}='xla_b, xla_c,{FUSES}'  --xla_a {REGIONS}"),
        (f"{OPTIONS}= {REGIONS}", f"{OPTIONS}={FUSES} {REGIONS}"),
    ],
)
def test_what_the_user_has_set_stays(unstarted: pytest.MonkeyPatch, before: str, after: str) -> None:
    unstarted.setenv("XLA_FLAGS", before)
    for _ in range(2):
        assert gc.use_xla_flags("cpu").strip() == after
        assert os.environ["XLA_FLAGS"].strip() == after


def test_what_the_user_has_turned_off_stays_off(unstarted: pytest.MonkeyPatch) -> None:
    unstarted.setattr(flags, "_has_started", lambda: True)
    value = f"{OPTIONS}=xla_b,{FUSES}=false {REGIONS.replace('true', 'false')}"
    unstarted.setenv("XLA_FLAGS", value)
    assert gc.use_xla_flags("cpu") == value


def test_a_platform_without_flags_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", " --xla_a=1")
    assert gc.use_xla_flags("tpu") == " --xla_a=1"  # though a backend may have started


def test_flags_in_a_file(unstarted: pytest.MonkeyPatch, tmp_path: Any) -> None:
    file = tmp_path / "flags"
    unstarted.setenv("XLA_FLAGS", str(file))
    with pytest.raises(ValueError, match=f"names the file {file}; add to it: {FUSION} {REGIONS}"):
        gc.use_xla_flags("cpu")
    file.write_text(f"--xla_a=1\n{FUSION}\n{REGIONS}\n")
    assert gc.use_xla_flags("cpu") == str(file)


def test_a_version_that_lacks_flags(unstarted: pytest.MonkeyPatch) -> None:
    unstarted.setitem(flags.CHECKED, jaxlib.__version__, (REGIONS,))
    assert gc.xla_flags("cpu") == REGIONS
    with pytest.warns(UserWarning, match=f"does not know {FUSION}; left out") as caught:
        assert gc.use_xla_flags("cpu") == REGIONS
    assert caught[0].filename == __file__


def test_before_a_backend_starts_the_flags_take_effect_and_after_it_they_are_refused() -> None:
    done = python("""
        import jax, jax.numpy as jnp, gradchain as gc

        def loops():
            f = lambda x, y: (x * 2 + y, x * y - 1)
            return jax.jit(f).lower(jnp.ones(999), jnp.ones(999)).compile().as_text().count("fusion(")

        if gc.xla_flags() != "":
            gc.use_xla_flags()
            print(loops() == (1 if "fusion" in gc.xla_flags() else 2), gc.use_xla_flags() == gc.xla_flags())
        else:
            print(True, True)
    """)
    assert done.stdout == "True True\n", done.stderr
    done = python("""
        import os, sys, jax, gradchain as gc
        gc.use_xla_flags  # imports the module
        module = sys.modules["gradchain.tools.xla_flags"]
        module.CHECKED[module.jaxlib.__version__] = tuple(module.FLAGS["cpu"])
        jax.devices()
        try:
            gc.use_xla_flags()
        except RuntimeError as error:
            print(error, os.environ["XLA_FLAGS"])
    """, XLA_FLAGS="--xla_cpu_enable_fast_math=false")  # fmt: skip
    assert "before the first JAX computation, or set XLA_FLAGS='--xla_cpu_enable_fast_math" in done.stdout
    assert done.stdout.endswith(f"{REGIONS}' before Python starts. --xla_cpu_enable_fast_math=false\n")


def test_of_an_unknown_version_each_flag_is_tried(unstarted: pytest.MonkeyPatch) -> None:
    unstarted.delitem(flags.CHECKED, jaxlib.__version__)
    good, bad = "--xla_cpu_enable_fast_math=false", "--xla_no_such_flag=1"
    unstarted.setitem(flags.FLAGS, "cpu", {good: "Known.", bad: "Not known."})
    assert gc.xla_flags("cpu") == good
    with pytest.warns(UserWarning, match=f"does not know {bad}; left out"):
        assert gc.use_xla_flags("cpu") == good
    unstarted.setattr(flags.sys, "executable", "/no/such/python")
    flags._starts_with.cache_clear()
    assert gc.xla_flags("cpu") == ""
    flags._starts_with.cache_clear()
