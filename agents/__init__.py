"""Policies, learners and their comparison: what the commands are made of.

It is installed as `autoloss_gym.agents`; in a checkout the scripts import it as `agents`.
"""
