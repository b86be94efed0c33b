"""Commands that are killed: what is left, and what is lost."""
