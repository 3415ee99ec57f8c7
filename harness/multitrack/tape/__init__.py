"""The tape: what a cassette contains, how a request finds its recording, and what is written back."""
