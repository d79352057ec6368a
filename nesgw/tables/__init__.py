"""The meter's tables: which register stands where, and what its bytes mean. Opens nothing, sends nothing."""
