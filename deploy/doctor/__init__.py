"""`milestream doctor`: is everything that Milestream needs there, and as it should be."""
