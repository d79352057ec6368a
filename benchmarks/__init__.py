"""Measures what nesgw costs, against the wire and against another reader. Run with ``scripts/benchmark``."""
