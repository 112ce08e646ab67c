"""SQL: one function, one statement."""
