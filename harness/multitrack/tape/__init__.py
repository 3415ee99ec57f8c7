"""The tape: what a cassette holds, how a request finds its answer, and what is written back."""
