"""What builds, generates and checks Strata. Nothing here is shipped."""
