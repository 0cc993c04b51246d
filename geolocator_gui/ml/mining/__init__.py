"""Mining: which chips a model confuses with the right one, and what kind of confusion each is."""
