"""Tests against programs of others; see README.md."""
