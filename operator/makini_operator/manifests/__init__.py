"""Child objects as functions: a connection in, a manifest out. No I/O, no decisions."""
