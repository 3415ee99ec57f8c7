"""The stand-in's implementation of Amazon Bedrock's Converse API."""
