"""nesgw read."""
