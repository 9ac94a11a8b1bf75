"""The sync program against a source that misbehaves on demand, and against real destinations."""
