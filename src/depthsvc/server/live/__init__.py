"""Live streams: frames in by WebSocket, their depth out."""
