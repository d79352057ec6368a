"""Meters that batteries and other programs know already, each answered as its maker's would, for one of our meters.

Three rules hold for all: a stale reading is never a 200, an error is never JSON, a number is never null.
"""
