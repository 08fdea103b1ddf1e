"""Whose line of code it is, what it says, and what it should say instead."""
