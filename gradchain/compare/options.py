"""The kinds of values that the command's options take."""

import math
from typing import Any

import click


class Count(click.ParamType):
    """A whole number from one."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            number = 0
        if number < 1:
            self.fail(f"expected a whole number from 1, received {value}.", param, ctx)
        return number


class BatchSize(Count):
    """A whole number from one, or `full`."""

    name = "N|1|full"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "full":
            return value
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"expected a whole number from 1, or full, received {value}.", param, ctx)


class Positive(click.ParamType):
    """A finite number above zero."""

    name = "X"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            self.fail(f"expected a finite number above 0, received {value}.", param, ctx)
        return number
