"""What the example servers share: how they begin and end, and who may ask them."""
