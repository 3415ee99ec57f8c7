"""The file of a tape: its layout, where it lies, how it is read and written."""
