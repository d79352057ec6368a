"""The HTTP service: the page, the JSON, the metrics, and the answers of meters that other programs know. Read-only."""
