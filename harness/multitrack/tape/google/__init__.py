"""What is Google's own: protobuf messages and errors in one form, whatever the transport, and their token exchanges."""
