"""What runs the network: one module per library, and the choice between them."""
