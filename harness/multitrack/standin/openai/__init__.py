"""OpenAI's chat completions and Responses API, as the stand-in implements them."""
