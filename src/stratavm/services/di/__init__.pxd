# Makes `di` a package for cimports.
