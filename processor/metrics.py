"""Every metric of a worker, each with what it says. No labels name members or projects."""

from prometheus_client import Counter, Gauge, Histogram

FOLDED = Counter("milestream_folded_records_total", "Input records folded, by topic-free outcome.")
OUTCOMES = Counter(
    "milestream_outcomes_total",
    "What became of records: duplicates, forwarded, skipped (folded before), replies_refused; and "
    "dues: what ended with its period and was done.",
    ["outcome"],
)
DEAD_LETTERS = Counter("milestream_dead_letters_total", "Records refused, by reason.", ["reason"])
CHUNK_RECORDS = Histogram(
    "milestream_chunk_records",
    "Records a chunk.",
    buckets=(1, 2, 5, 10, 50, 100, 500, 1000, 2000, 5000, 10_000, 20_000),
)
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
FOLD_SECONDS = Histogram("milestream_fold_seconds", "Folding a chunk, purely.", buckets=_SECONDS)
COMMIT_SECONDS = Histogram(
    "milestream_commit_seconds",
    "Writing a chunk's transaction, from begin to committed.",
    buckets=_SECONDS,
)
FENCED = Counter("milestream_fenced_total", "Chunks given up because the partition moved.")
TAKEN_BACK = Counter(
    "milestream_taken_back_total",
    "Partitions taken again after a transaction of ours was given up: it took too long, or could "
    "not be written.",
)
PIECES_FAILED = Counter(
    "milestream_pieces_failed_total",
    "Records that could not be folded or written together; they are tried again with fewer, and "
    "one that fails alone twice becomes a dead letter `poison`.",
)
DRY_RUNS = Counter(
    "milestream_dry_runs_total",
    "What became of dry runs: answered; late (too old when their turn came); given_up (the "
    "partition moved, or there were too many); unanswerable (the reply can go nowhere).",
    ["outcome"],
)
DROPPED = Counter(
    "milestream_dropped_records_total",
    "Records that were fetched and given up because partitions moved; they are fetched again.",
)
INPUTS_REMOVED = Counter(
    "milestream_input_records_removed_total",
    "Offsets of an input topic whose records were removed (retention, deletion) before they were "
    "folded: what they said is lost.",
    ["topic"],
)
RECOVERY_SECONDS = Histogram(
    "milestream_recovery_seconds",
    "Taking partitions over: fencing and restoring their state.",
    buckets=(0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
RECOVERED_RECORDS = Counter(
    "milestream_recovered_records_total", "Changelog records read while taking partitions over."
)
LAG = Gauge(
    "milestream_lag_records",
    "Records of an input partition (ticks apart) that are not folded yet, as of the last fetch.",
    ["topic", "partition"],
)
DEFINITIONS_REFUSED = Gauge(
    "milestream_definitions_refused", "Records on definitions that are no definitions."
)
TICKS_PUBLISHED = Counter("milestream_ticks_published_total", "Ticks written, one a partition.")
TICKS_FAILED = Counter(
    "milestream_ticks_failed_total", "Ticks that could not be written; each is tried again."
)
TICKS_HELD = Gauge(
    "milestream_ticks_held_partitions",
    "Partitions whose tick waits until the records before it were fetched.",
)
