"""What both HTTP services open alike: endpoints, problems, request ids, health, OpenAPI, the server."""
