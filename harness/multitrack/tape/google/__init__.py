"""Google's formats: protobuf messages, errors and calls independent of their transport, and token exchanges."""
