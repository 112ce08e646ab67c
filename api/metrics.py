"""Every Prometheus metric of the API, by name. Labels never name a member, project or record."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
UNMATCHED = "unmatched"
"""The route label of a path without a route: callers choose paths."""

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Where the client library looks for what several processes share."""

_KINDS = ("counter", "histogram", "gauge_livemax")
"""The library's names for the files of what we count."""
_FILE_BYTES = 64 * 1024
"""What a file begins with; the library doubles it where more is counted."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def share(directory: Path, number: int) -> None:
    """Keep what this process counts in files, where each process of a directory adds up those of
    all: counters and histograms are summed, of a gauge the largest counts.

    Called before `Metrics` are made. `number` is this process's; another that takes its place goes
    on counting where it ended.
    """
    for kind in _KINDS:
        path = directory / f"{kind}_{number}.db"
        if not path.exists():
            # Put there whole: read while the library makes it, a file would have no size.
            made = directory / f"{kind}_{number}.new"
            made.write_bytes(bytes(_FILE_BYTES))
            made.rename(path)
    os.environ[_DIRECTORY] = str(directory)
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


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
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.projection_lag_seconds = Gauge(
            "milestream_api_projection_lag_seconds",
            "For how long something that was published has been missing in the read models.",
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.partitions_without_worker = Gauge(
            "milestream_api_partitions_without_worker",
            "Partitions whose ticks stand still: nobody folds what comes there.",
            multiprocess_mode="livemax",
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format, those of all processes that share them."""
        return generate_latest(self._added_up() or self.registry)

    def reply_buckets(self) -> dict[float, float]:
        """Return how many replies of all topics came within each of these seconds, ever."""
        found: dict[float, float] = {}
        for metric in (self._added_up() or self.reply_seconds).collect():
            for sample in metric.samples:
                if sample.name == "milestream_api_reply_seconds_bucket":
                    bound = float(sample.labels["le"])
                    found[bound] = found.get(bound, 0.0) + sample.value
        return dict(sorted(found.items()))

    @staticmethod
    def _added_up() -> CollectorRegistry | None:
        """Return what all processes counted; None where this is the only one."""
        directory = os.environ.get(_DIRECTORY)
        if directory is None:
            return None
        added_up = CollectorRegistry()
        MultiProcessCollector(added_up, directory)  # type: ignore[no-untyped-call]
        return added_up
