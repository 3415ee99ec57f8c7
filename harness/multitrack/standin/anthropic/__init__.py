"""Anthropic's Messages API, as the stand-in implements it, including on Amazon Bedrock and Vertex AI."""
