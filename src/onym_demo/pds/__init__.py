"""A real Bluesky PDS as the demo's platform, with its directory of identities; both from npm."""
