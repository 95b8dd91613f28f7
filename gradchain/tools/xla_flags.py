"""XLA's flags under which training steps run fastest. Importing this sets nothing."""

import functools
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import jaxlib

from ..core import GradientTransformation, parts

MULTI_OUTPUT_FUSION = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
REGION_ANALYSIS = "--xla_cpu_copy_insertion_use_region_analysis=true"

FLAGS: dict[str, dict[str, str]] = {
    "cpu": {
        MULTI_OUTPUT_FUSION: "Loops that read the same arrays are joined into one, so that a step reads "
        "and writes memory once.",
        REGION_ANALYSIS: "Conditionals do not copy what they carry: AdamW accumulated over 4 micro-steps "
        "takes less than half the time.",
    },
    "gpu": {},  # these compilers do both by themselves
    "tpu": {},
}
"""For each platform the flags, and what each does."""

CHECKED: dict[str, tuple[str, ...]] = {
    "0.4.34": (),  # ends the process at the second flag, does not read the first option
    "0.5.3": (REGION_ANALYSIS,),
    "0.6.2": (REGION_ANALYSIS,),
    "0.7.2": (MULTI_OUTPUT_FUSION, REGION_ANALYSIS),
    "0.8.2": (MULTI_OUTPUT_FUSION, REGION_ANALYSIS),
    "0.9.2": (MULTI_OUTPUT_FUSION, REGION_ANALYSIS),
    "0.10.2": (MULTI_OUTPUT_FUSION, REGION_ANALYSIS),
}
"""What the versions of jaxlib know that were tried. Any other is asked in a process of its own."""

_SAME = {"cuda": "gpu", "rocm": "gpu"}
_LIST = "xla_backend_extra_options"  # one flag that holds a list of options
_FLAG = re.compile(r"""(?:^|(?<=\s))--(\w+)(?:=("[^"]*"|'[^']*'|\S*))?""")


def xla_flags(platform: str | None = None) -> str:
    """XLA's flags that make training steps fast, for the environment variable XLA_FLAGS.

    On a CPU they are:

    - `--xla_backend_extra_options=xla_cpu_use_multi_output_fusion`: loops that read the same arrays are
      joined into one, so that a step reads and writes memory once.
    - `--xla_cpu_copy_insertion_use_region_analysis=true`: conditionals do not copy what they carry:
      AdamW accumulated over 4 micro-steps takes less than half the time. A single function can have
      it: `jax.jit(f, compiler_options={"xla_cpu_copy_insertion_use_region_analysis": True})`.

    GPU and TPU need none: their compilers do this by themselves. XLA ends the process at a flag that it
    does not know, so those that the installed jaxlib lacks are left out. A jaxlib that was not tried
    before is asked in a process of its own, which takes a second.

    Args: platform, 'cpu', 'gpu' or 'tpu'; None: what JAX_PLATFORMS says, else 'cpu'. No backend is started.
    Returns: one string, such as `python -c "import gradchain; print(gradchain.xla_flags())"` prints.
    Raises: ValueError for another platform.
    """
    return " ".join(flag for flag in FLAGS.get(_checked("xla_flags", platform), {}) if _is_known(flag))


def use_xla_flags(platform: str | None = None) -> str:
    """Puts the flags of `xla_flags` into the environment variable XLA_FLAGS of this process.

    Call it before the first JAX computation: XLA reads the variable once, when JAX starts a backend.
    What the variable holds already stays, also where it says otherwise; a list of
    `xla_backend_extra_options` is continued. Flags that the installed jaxlib lacks are left out, with a
    warning.

    Args: platform, as `xla_flags` takes it.
    Returns: the whole value of XLA_FLAGS.
    Raises: RuntimeError if a backend has started and flags are missing; ValueError for another platform, or
        if XLA_FLAGS names a file that lacks flags.
    """
    recommended = FLAGS.get(_checked("use_xla_flags", platform), {})
    value = os.environ.get("XLA_FLAGS", "")
    file = value.strip() if value.strip()[:1] not in ("", "-") else None  # XLA reads flags from it
    missing = _missing(_text_of(file) if file else value, recommended)
    unknown = [flag for flag in missing if not _is_known(flag)]
    if unknown:
        warnings.warn(
            f"use_xla_flags: jaxlib {jaxlib.__version__} does not know {' '.join(unknown)}; left out.",
            stacklevel=2,
        )
    missing = [flag for flag in missing if flag not in unknown]
    if not missing:
        return value
    if file:
        raise ValueError(f"use_xla_flags: XLA_FLAGS names the file {file}; add to it: {' '.join(missing)}")
    merged = functools.reduce(_with, missing, value)
    if _has_started():
        raise RuntimeError(
            "use_xla_flags: a JAX backend has started, and XLA read its flags then. Call use_xla_flags() "
            f"before the first JAX computation, or set XLA_FLAGS={merged!r} before Python starts."
        )
    os.environ["XLA_FLAGS"] = merged
    return merged


def _checked(name: str, platform: str | None) -> str:
    """The platform in the words of FLAGS; what JAX calls otherwise is left as it is, and has no flags."""
    if platform is None:
        first = (getattr(jax.config, "jax_platforms", None) or "cpu").split(",")[0].strip().lower()
        return _SAME.get(first, first)
    known = platform.lower() if isinstance(platform, str) else ""
    if (found := _SAME.get(known, known)) not in FLAGS:
        raise ValueError(f"{name}: platform must be 'cpu', 'gpu' or 'tpu', received {platform!r}.")
    return found


def _has_started() -> bool:
    """Whether JAX has started a backend. Nothing public tells without starting one."""
    try:
        from jax._src.xla_bridge import backends_are_initialized
    except ImportError:
        return False
    return backends_are_initialized()


def _is_known(flag: str) -> bool:
    """Whether the installed jaxlib knows a flag."""
    checked = CHECKED.get(jaxlib.__version__)
    return _starts_with(flag) if checked is None else flag in checked


@functools.cache
def _starts_with(flag: str) -> bool:
    """Whether JAX starts with a flag. XLA ends the process at one that it does not know."""
    environment = os.environ | {"XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    try:
        return subprocess.run(command, env=environment, capture_output=True, timeout=120).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""


def _missing(text: str, flags: Sequence[str] | dict[str, str]) -> list[str]:
    """The flags that a text does not set, to whatever value."""
    there = set(_names(text))
    return [flag for flag in flags if not there.issuperset(_names(flag))]


def _names(text: str) -> Iterator[str]:
    """The names of the flags in a text, and those of the options in the list."""
    for name, value in _FLAG.findall(text):
        if name == _LIST:
            yield from (option.partition("=")[0].strip() for option in value.strip("'\"").split(","))
        else:
            yield name


def _with(text: str, flag: str) -> str:
    """A text with one more flag; an option goes into the list that is there."""
    name, _, value = flag.partition("=")
    for found in _FLAG.finditer(text):
        if name == f"--{_LIST}" == f"--{found[1]}" and found[2] is not None:
            quote = found[2][:1] if found[2][:1] in ("'", '"') else ""
            options = ",".join(filter(None, [found[2].strip("'\""), value]))
            return f"{text[: found.start(2)]}{quote}{options}{quote}{text[found.end(2) :]}"
    return f"{text} {flag}".strip()


def compiler_options(tx: GradientTransformation) -> dict[str, bool | str] | None:
    """XLA's options for a program with runs of a transformation side by side, by `vmap`.

    XLA ends the process when it joins the loops of a line search under `vmap`: these are compiled without.
    """
    joined = MULTI_OUTPUT_FUSION in os.environ.get("XLA_FLAGS", "")
    return {"xla_backend_extra_options": ""} if joined and searches(tx) else None


def searches(tx: GradientTransformation) -> bool:
    """Whether a line search is in a transformation."""
    return any(part.name.split("[")[0].endswith("linesearch") for part in parts(tx))
