"""The handlers: one for each input topic, and one for each thing that their records move."""
