"""The faces: each has its own paths, errors and credentials. None imports another."""
