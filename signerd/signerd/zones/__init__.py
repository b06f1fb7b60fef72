"""Zone sources, semantic checks, the pipeline, snapshots and journals."""
