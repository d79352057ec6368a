"""ANSI C12.18 over an optical probe. Knows packets, services and sessions; knows no energy, no unit and no MQTT."""
