"""Sentences with their translations and tags, drawn from a grammar or read from corpora."""
