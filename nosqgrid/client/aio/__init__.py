"""The grid for asyncio: what waits is awaited.  docs/asyncio.md says what it promises."""
