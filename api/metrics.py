"""Every Prometheus metric of the API, by name. Labels never name a member, project or record."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
UNMATCHED = "unmatched"
"""The route label of a path without a route: callers choose paths."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one API process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "milestream_api_requests_total",
            "Requests answered, by route template, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "milestream_api_request_seconds",
            "Time from a request's head to the end of its answer, by route template.",
            ("route", "method"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.reply_seconds = Histogram(
            "milestream_api_reply_seconds",
            "Time from the request's record being produced to the processor's reply, by topic.",
            ("topic",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.reply_timeouts = Counter(
            "milestream_api_reply_timeouts_total",
            "Requests answered 202, as the processor's reply did not come in time, by topic.",
            ("topic",),
            registry=self.registry,
        )
        self.shed = Counter(
            "milestream_api_shed_total",
            "Requests refused (503), as too many waited for the processor, by topic.",
            ("topic",),
            registry=self.registry,
        )
        self.stray_replies = Counter(
            "milestream_api_stray_replies_total",
            "Replies on this process's partition that it was not waiting for (any more).",
            registry=self.registry,
        )
        self.barrier_seconds = Histogram(
            "milestream_api_barrier_seconds",
            "Time that a read waited for the projection to catch up.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.barrier_timeouts = Counter(
            "milestream_api_barrier_timeouts_total",
            "Reads answered from a projection that was still behind after the longest wait.",
            registry=self.registry,
        )
        self.projection_lag_records = Gauge(
            "milestream_api_projection_lag_records",
            "Records of the output topics that the read models do not hold yet.",
            registry=self.registry,
        )
        self.projection_lag_seconds = Gauge(
            "milestream_api_projection_lag_seconds",
            "For how long something that was published has been missing in the read models.",
            registry=self.registry,
        )
        self.partitions_without_worker = Gauge(
            "milestream_api_partitions_without_worker",
            "Partitions whose ticks stand still: nobody folds what comes there.",
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
