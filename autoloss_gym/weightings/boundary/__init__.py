"""What passes between a rule and its user: arguments, losses, saved states and warnings."""
