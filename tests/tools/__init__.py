"""Real tools that tests use, each built from a Go module of its own."""
