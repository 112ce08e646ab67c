"""`milestream import`: NDJSON or CSV into an input topic, each line once.

`sources` reads lines and rows, `columns` makes a row into JSON, `schemas.placement` finds the
member, and `transfer` sends them in Kafka transactions that hold the position in the file too.
"""
