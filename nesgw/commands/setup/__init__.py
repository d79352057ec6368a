"""nesgw setup."""
