"""Running Milestream: the local stack, the command line, and the files for containers."""
