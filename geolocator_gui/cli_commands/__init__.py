"""The verbs of the command line, one file each; none imports torch or Qt before it runs."""
