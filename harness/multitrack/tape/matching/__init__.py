"""Find the recording that answers a request, and describe how a request differs from a recording."""
