"""Questions to the database: one function, one SQL text, one question each."""
