"""Small modules with the compiler's stages written beside them."""
