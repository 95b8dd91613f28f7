"""Arithmetic on whole trees."""

from .norm import norm as norm
