"""The endpoints of the api, a module for each noun; each ends with its part of the endpoint table."""
