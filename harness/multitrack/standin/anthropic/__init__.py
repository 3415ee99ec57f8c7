"""The stand-in's side of Anthropic's Messages API, also under the hosts of Amazon Bedrock and Vertex AI."""
