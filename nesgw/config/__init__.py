"""The configuration: what it may say, how it is read, and what the rest of nesgw is given of it."""
