"""One meter, whoever reads it: sessions, who it is and what it has, and everything that can be asked of it."""
