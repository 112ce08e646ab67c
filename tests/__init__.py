"""Tests: unit and properties without a server, integration on a real broker and database."""
