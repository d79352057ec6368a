"""nesgw: reads Echelon/NES electricity meters over their optical port and publishes what they say."""

__version__ = "0.1.0"

CONFIG_FILE = "/etc/nesgw/config.toml"  # here, so that knowing it costs no command the validator
