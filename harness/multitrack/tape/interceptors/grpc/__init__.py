"""The interceptors for gRPC channels, synchronous and asyncio."""
