"""What of the fold is compiled. Python does the same where it could not be."""
