"""What the commands do with damaged and forged files, a thousand times."""
