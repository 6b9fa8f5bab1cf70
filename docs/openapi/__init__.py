"""The OpenAPI documents, generated."""
