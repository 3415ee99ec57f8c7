"""The cassette file: its format, its path, and how it is read and written."""
