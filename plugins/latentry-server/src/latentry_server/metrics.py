"""What a server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Limits of the histograms."""


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        mine = self.registry = CollectorRegistry()
        self.requests = Counter("latentry_http_requests", "Answers.", ("method", "route", "status"), registry=mine)
        self.jobs = Counter("latentry_jobs", "Jobs that ended.", ("api", "state"), registry=mine)
        self.pictures = Counter("latentry_pictures", "Pictures that were finished.", ("api",), registry=mine)
        self.live = Gauge("latentry_jobs_live", "Jobs that are queued or running.", registry=mine)
        self.memory = Gauge("latentry_model_bytes", "Weights in memory.", ("model",), registry=mine)
        self.waiting = Histogram("latentry_wait_seconds", "From arrival to start.", buckets=SECONDS, registry=mine)
        self.drawing = Histogram("latentry_draw_seconds", "From start to end.", buckets=SECONDS, registry=mine)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
