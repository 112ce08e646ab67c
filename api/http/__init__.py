"""What every request and answer passes: bodies, errors, routing, connections."""
