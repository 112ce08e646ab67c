"""`milestream simulate`: what other definitions would give for what has happened.

`figures` adds outputs up by definition and month, `world` folds inputs into a scratch store under
one set of definitions, and `recorded` takes what the topics have. Nothing here writes to a broker.
(The simulation of schedules, in `tests/simulation`, is another matter.)
"""
