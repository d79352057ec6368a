"""nesgw history."""
