"""The HTTP API: reads by SQL queries, writes by commands to the processor."""
