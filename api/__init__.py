"""The HTTP API: thin queries for reading, requests to the processor for writing."""
