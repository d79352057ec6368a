"""nesgw dump."""
