"""Convert and normalize data in Google's formats: protobuf messages, and the errors, the calls and the token exchanges
of Google's APIs.
"""
