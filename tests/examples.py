"""How many examples of a property are tried."""

from hypothesis import settings

assert settings.default is not None
FEW = max(8, settings.default.max_examples // 10)
"""For a property that takes a database: as many as there is time for, more with `--hypothesis-profile=long`."""
