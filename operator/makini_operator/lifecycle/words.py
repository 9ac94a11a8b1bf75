"""Small words that messages share."""

from __future__ import annotations


def credits_in_words(amount: int) -> str:
    """`1 credit`, `4 credits`."""
    return f"{amount} credit" if amount == 1 else f"{amount} credits"


def connections_in_words(count: int) -> str:
    """`1 connection`, `3 connections`."""
    return f"{count} connection" if count == 1 else f"{count} connections"
