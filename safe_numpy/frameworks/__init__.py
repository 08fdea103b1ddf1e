"""One folder, or one file, per framework; each alone imports its framework."""
