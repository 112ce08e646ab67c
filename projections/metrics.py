"""Every metric of a projector."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """A projector's metrics, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        # Offsets between the end of a partition (its last stable offset, so control records
        # included) and what is committed to the database. 0: all that is published is visible.
        self.lag = Gauge(
            "milestream_projector_lag",
            "Offsets that are published but not yet in the read models.",
            ["topic", "partition"],
            registry=self.registry,
        )
        # Records per transaction: small when traffic is small, growing under load.
        self.batch_records = Histogram(
            "milestream_projector_batch_records",
            "Records in one transaction.",
            buckets=(0, 1, 10, 100, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000),
            registry=self.registry,
        )
        # From BEGIN to COMMIT, waiting for another projector or a rebuild included.
        self.transaction_seconds = Histogram(
            "milestream_projector_transaction_seconds",
            "Seconds of one database transaction.",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=self.registry,
        )
        # Rows sent to a table, after rows with one key in one batch became one.
        self.rows = Counter(
            "milestream_projector_rows",
            "Rows written.",
            ["table"],
            registry=self.registry,
        )
        # Transactions given up because another projector had written the same records.
        self.conflicts = Counter(
            "milestream_projector_checkpoint_conflicts",
            "Transactions given up because another projector was there first.",
            registry=self.registry,
        )
        # What retention or somebody took off an output before it was projected: rows are missing.
        self.removed = Counter(
            "milestream_projector_records_removed",
            "Offsets of a topic whose records were removed before they were projected: lost.",
            ["topic"],
            registry=self.registry,
        )
        # Failures of the database or the broker that were waited out.
        self.retries = Counter(
            "milestream_projector_retries",
            "Times that a failing database or broker was waited for.",
            ["cause"],
            registry=self.registry,
        )
