"""Hypothesis without a deadline an example: the machine that runs the tests may be busy."""

from hypothesis import settings

settings.register_profile("onym", deadline=None)
settings.load_profile("onym")
