"""Policies, learners, rollout and statistics: what the commands of a clone are made of."""
