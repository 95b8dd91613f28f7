"""A schedule that remembers its call, as a transformation does."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

from ._call import Call, Form, Remembers
from .types import Schedule

P = ParamSpec("P")


class RememberedSchedule(Remembers):
    """A function of the step count: `schedule(count) -> value`.

    `repr` is the code that made it, equality and hash go by value, `pickle` and `copy` work.
    """

    def __init__(self, function: Schedule, call: Call):
        self.function = function
        self.call = call

    def __call__(self, count: Any) -> Any:
        """The value at `count` steps, from 0; a number or an array."""
        return self.function(count)


def schedule(factory: Callable[P, Schedule]) -> Callable[P, RememberedSchedule]:
    """Makes a factory of schedules return ones that remember the call."""

    @functools.cache  # at the first call
    def form() -> Form:
        return Form(remembering)

    @functools.wraps(factory)
    def remembering(*args: P.args, **kwargs: P.kwargs) -> RememberedSchedule:
        call = form().call(form().given(args, kwargs))
        return RememberedSchedule(call.run(factory), call)

    return remembering
