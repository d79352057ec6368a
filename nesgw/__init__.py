"""nesgw: reads Echelon/NES electricity meters over their optical port and publishes what they say."""

__version__ = "0.2.0"

# Where the repository is published, like "https://HOST/OWNER/nesgw". Empty: nowhere yet, and then no file names an
# address. Whoever publishes it sets it here and runs: python -m scripts.homepage
HOMEPAGE = ""

CONFIG_FILE = "/etc/nesgw/config.toml"  # here, so that knowing it costs no command the validator
