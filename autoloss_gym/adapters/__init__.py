"""Adapters: environments for other libraries, and loss schedulers for their training loops."""
