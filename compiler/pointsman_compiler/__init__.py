"""The build side of Pointsman: one YAML file a site → checked, resolved, locked and signed bundles."""
