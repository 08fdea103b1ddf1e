"""What is wrong with a tensor, and what puts it right: facts, causes, plans."""
