"""Commands: each reads its arguments, and calls what does the work."""
