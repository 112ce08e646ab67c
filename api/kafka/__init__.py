"""Kafka: commands and their replies, definitions, the barrier, lag and ticks."""
