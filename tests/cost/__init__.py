"""What things cost, counted and not timed; it must not grow with the data."""
