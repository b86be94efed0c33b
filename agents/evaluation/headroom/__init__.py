"""What reacting, timing, searching or a constant could gain, before anything is trained."""
