"""The handlers: one for each input topic, and what several of them use."""
