"""What runs the network: one module per library."""
