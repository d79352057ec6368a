"""Where readings go: the RAM disk, an MQTT broker, Home Assistant, a terminal."""
