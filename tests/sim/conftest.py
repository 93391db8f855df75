"""The whole daemon without its doors: real actors, bridge, journal and supervision, whose time is an argument."""

from tests.actors.conftest import _quiet, company

__all__ = ["_quiet", "company"]
