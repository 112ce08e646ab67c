"""What may become of a transaction besides a commit."""


class Fenced(RuntimeError):
    """Another worker owns the partition now, or the broker ended the transaction, which outlived
    its time; nothing of the chunk was written, or all of it was before another took over. Whoever
    takes the partition again finds out."""


class Overdue(RuntimeError):
    """The broker did not answer in time. Whether a transaction was committed is unknown: the worker
    must stop, and its next start finds out."""


class Superseded(RuntimeError):
    """A rebalance came before the partition was taken; nothing was taken."""


class RecordTooLarge(RuntimeError):
    """One of our topics does not take a record that it should take; nothing was written."""
