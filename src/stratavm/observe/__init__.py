"""What engines do, for those who watch them from outside: Prometheus."""
