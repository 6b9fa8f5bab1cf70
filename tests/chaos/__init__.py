"""Break every part at random under load, then account for every score (`python -m tests.chaos --help`)."""
