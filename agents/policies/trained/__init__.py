"""Policies that were trained and stored."""
