"""What a meter is asked beside its values: one file a theme, each question once.

A query yields the parts that it wants and does not know who reads them: a session on the port, a running daemon, a
dump. Each returns what it found as plain records; a table that is needed and missing raises TableNotPresent.
"""
