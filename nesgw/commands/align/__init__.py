"""nesgw align."""
