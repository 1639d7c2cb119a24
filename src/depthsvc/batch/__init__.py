"""Many photos: `depthsvc batch`. Photos are found, estimated by workers or a service, written and reported."""
