"""What happens when a conversion fails: it is explained, made, or refused."""
