"""How the property tests run: no deadline per example, which a busy machine would miss, and no database of them."""

import os

from hypothesis import settings

settings.register_profile("unit", deadline=None, database=None)
settings.register_profile("quick", deadline=None, database=None, max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))
