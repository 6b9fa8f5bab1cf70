"""Query → response, and the management calls."""
