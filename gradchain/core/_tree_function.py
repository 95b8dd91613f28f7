"""Functions from the parameters to a tree like them: masks, labels, dimension numbers."""

from collections.abc import Callable

from ._call import Call, Remembers
from .types import Params, PyTree


class TreeFunction(Remembers):
    """A function from the parameters to a tree like them that remembers its call.

    Args: check, raises where the parameters as a whole do not fit; the function itself is also called for
        parts of them.
    """

    def __init__(
        self,
        function: Callable[[Params], PyTree],
        call: Call,
        check: Callable[[Params], None] | None = None,
    ):
        self.function, self.call, self.check = function, call, check

    def __call__(self, params: Params) -> PyTree:
        """The tree of these parameters (or of any tree like them)."""
        return self.function(params)
