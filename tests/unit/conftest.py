"""How the property tests run: no deadline per example, which a busy machine would miss, and no database of them."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, database=None)
settings.load_profile("unit")
