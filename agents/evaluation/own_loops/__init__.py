"""Rules compared on a training loop that is a function of the user's."""
