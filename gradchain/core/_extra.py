"""Which extra arguments a function of the user is told."""

import inspect
from collections.abc import Callable, Container
from typing import Any


def arguments_for(
    f: Callable[..., Any], extra_args: dict[str, Any], but: Container[str] = ()
) -> dict[str, Any]:
    """Those extra arguments that a value function names, but some. Its **kwargs gets none, as in Optax."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return {}
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {k: v for k, v in extra_args.items() if k in names and k not in but}
