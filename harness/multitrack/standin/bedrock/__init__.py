"""The Converse API of Amazon Bedrock, as the stand-in implements it."""
