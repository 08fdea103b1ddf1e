"""The exception classes: how they are built, and their manual pages."""
