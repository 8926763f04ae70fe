"""A cluster of Ray on this machine, which may be busy."""

from __future__ import annotations

TRIES = 5
"""Ray gives its node half a minute to start; on a busy machine a later try finds more of it in memory."""


def start_ray(*, cpus: int = 2, env_vars: dict[str, str]) -> None:
    """Starts one for this process, which ends it with ``ray.shutdown``."""
    import ray  # pyright: ignore[reportMissingImports]  # an extra

    for attempt in range(TRIES):
        try:
            ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": env_vars})
        except Exception as error:  # Ray's has no kind of its own
            ray.shutdown()
            if "timed out during startup" not in str(error) or attempt == TRIES - 1:
                raise
        else:
            return
