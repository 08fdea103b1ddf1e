"""Settings, and the modes."""
