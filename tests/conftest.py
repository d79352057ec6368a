"""What all tests share."""

from hypothesis import settings

pytest_plugins = ["tests.broker_fixtures"]

# A machine that is busy elsewhere is slow, not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
