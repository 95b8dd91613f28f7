"""What takes a finished transformation."""

from .parse import parse as parse
from .plot_schedule import plot_schedule as plot_schedule
