"""Adapters from the vector environment to other libraries' interfaces."""
