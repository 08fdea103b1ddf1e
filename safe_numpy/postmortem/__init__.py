"""Errors that reached no guard."""
