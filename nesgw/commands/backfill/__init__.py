"""nesgw backfill."""
