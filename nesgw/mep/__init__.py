"""The MEP port: an RS-232 port of the meter that serves the same tables, with a keyed digest on each frame.

From the bytes upwards: ``digest.py``, ``frames.py``, ``session.py`` (the states as a table), ``link.py`` (the protocol
without a port), ``client.py`` (the loop). Only ever reads. Opens no port and knows no table's content.
"""
