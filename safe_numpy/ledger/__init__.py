"""What permissive mode converted, and the reports of it."""
