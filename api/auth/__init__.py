"""Who calls, whether they may, and how much of the service they may take."""
