"""Makini operator."""
