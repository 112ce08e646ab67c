"""`milestream worker`: one worker, until it is told to stop."""

from schemas.settings import Settings


def command() -> None:
    """Fold input records into state and events, until told to stop."""
    from processor.worker import main

    main(Settings.from_env())
