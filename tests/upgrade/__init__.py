"""The previous release and this one side by side, under load, against one database and one Redis."""
