"""Hypothesis without a deadline: a busy machine is no fault of a rule."""

from hypothesis import settings

settings.register_profile("daruma", deadline=None)
settings.load_profile("daruma")
