"""nesgw demo."""
