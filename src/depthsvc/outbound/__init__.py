"""Requests that leave this process: through which proxy, and which certificates they trust."""
