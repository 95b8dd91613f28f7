"""XLA's flags under which the tests run: programs run for microseconds, so they are compiled fast."""

import importlib.util
import mmap
from pathlib import Path

FAST = {
    "xla_backend_optimization_level": "0",
    "xla_cpu_use_fusion_emitters": "false",  # a step of Adam is compiled in 30 ms, with them in 180
    "xla_cpu_parallel_codegen_split_count": "1",
}


def known_to_xla(flag: str) -> bool:
    """Whether a flag's name is in the library: XLA ends the process at one that it does not know."""
    spec = importlib.util.find_spec("jaxlib")
    for folder in (spec and spec.submodule_search_locations) or ():
        for library in Path(folder).rglob("*.so"):
            with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
                if text.find(flag.encode()) >= 0:
                    return True
    return False


def fast_compilation() -> list[str]:
    """The flags, without those that the installed XLA does not have."""
    return [f"--{flag}={value}" for flag, value in FAST.items() if known_to_xla(flag)]
