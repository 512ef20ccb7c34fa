"""Pure functions from rows or arrays to rows or arrays; nothing in here reads, writes or keeps anything."""
