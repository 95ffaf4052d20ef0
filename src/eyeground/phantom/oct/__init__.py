"""An OCT B-scan through the fovea of a made eye, with its exact truth."""
