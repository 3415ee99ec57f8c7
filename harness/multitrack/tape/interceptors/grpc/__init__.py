"""The seams at gRPC's channels, synchronous and asyncio."""
