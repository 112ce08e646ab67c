"""The pure core: no clock, no randomness, no I/O, no logging, no framework."""
