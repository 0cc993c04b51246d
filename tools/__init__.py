"""What developers run: set-up, rebuilding the demo, screenshots."""
