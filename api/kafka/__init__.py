"""Clients of the broker: commands and their replies, definitions, how far topics and tables are."""
