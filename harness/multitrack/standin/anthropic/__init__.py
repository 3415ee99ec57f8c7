"""The stand-in for Anthropic's Messages API, including its variants on Amazon Bedrock and Vertex AI."""
