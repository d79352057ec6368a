"""Serial ports: found, opened for us alone, and explained where that fails."""
