"""How Hypothesis runs: no deadlines on slow machines, and always the same examples in CI."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "milestream",
    deadline=None,
    max_examples=int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "80")),
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("milestream")
