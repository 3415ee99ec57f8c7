"""The stand-in for OpenAI's chat completions and Responses API."""
