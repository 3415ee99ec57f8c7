"""The tape: the content of a cassette, the search for the recording of a request, and the writing of recordings."""
