"""Training: the loop, its run folder, and what it leaves for another machine."""
