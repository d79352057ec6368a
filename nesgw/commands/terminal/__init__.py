"""What commands need of a terminal."""
