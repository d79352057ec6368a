"""nesgw doctor."""
