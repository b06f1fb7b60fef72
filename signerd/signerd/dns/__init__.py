"""Core: names, RRsets, messages in wire form, zone versions, query to answer. No I/O."""
