import os

from hypothesis import settings

# In CI the same examples each time: a change is judged by what it changed. Elsewhere new ones are sought.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("seek", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "seek")
