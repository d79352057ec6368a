"""The process: one thread a meter, one for the broker, and what watches over them."""
