"""Commands of a clone that measure: speed, and the tables of the documentation."""
