"""Tests of pure code: no server, no clock."""
