"""What all tests share: how hypothesis searches, the same way on every machine."""

from hypothesis import HealthCheck, settings

# derandomize: a red run is red again. No deadline: two cores are shared with other suites.
settings.register_profile(
    "pointsman", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=150
)
settings.load_profile("pointsman")
