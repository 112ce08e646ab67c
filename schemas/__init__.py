"""Contracts: settings, records, definitions, outputs, topics and ids. Imports no framework."""
