"""The fault harness: seeded schedules of faults over a live stack, and a verifier after each."""
