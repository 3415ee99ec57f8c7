"""Google's formats: protobuf messages, transport-independent errors and calls, and token exchanges."""
