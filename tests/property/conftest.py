"""Property tests run on machines of any speed, so no example has a time limit of its own."""

from hypothesis import settings

settings.register_profile("aiocouch", deadline=None)
settings.load_profile("aiocouch")
