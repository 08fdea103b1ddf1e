"""What people read: layout, sentences that all causes share, units. Imports nothing of ours."""
