"""nesgw: reads Echelon/NES electricity meters over their optical port and publishes what they say."""

__version__ = "0.1.0"
