"""Table images, one function a table: bytes at the offsets that the guides (OPG, MEPG) print.

A function takes a ``Moment`` and returns the whole table. ``TABLES`` finds it by its number on the wire; a further
table is one more decorated function in the module of its subject.
"""

from nesgw.simulator.tables import general, interface, load, logs, registers, snapshots, sub_meters
from nesgw.simulator.tables.registry import TABLES, Moment, Table, present_tables

__all__ = [
    "TABLES",
    "Moment",
    "Table",
    "general",
    "interface",
    "load",
    "logs",
    "present_tables",
    "registers",
    "snapshots",
    "sub_meters",
]
