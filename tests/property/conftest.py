"""Property tests run on machines of any speed, so no example has a time limit of its own."""

from hypothesis import HealthCheck, settings

settings.register_profile("aiocouch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aiocouch")
