# Makes `events` a package for cimports.
