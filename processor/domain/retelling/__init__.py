"""What led to something, told again from what the read models keep, by the rules of the core."""
