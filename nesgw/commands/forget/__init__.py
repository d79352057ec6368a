"""nesgw forget."""
