"""What leaves the program: result maps, tables, evidence."""
