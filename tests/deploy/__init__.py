"""What operators are given, tried as far as it can be without their machines: see docs/deploying.md."""
