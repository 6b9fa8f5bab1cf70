"""What two services must agree on, and the edges that all of them open alike."""
