"""Loss-weighting rules as plain objects, batched over runs, for any training loop."""
