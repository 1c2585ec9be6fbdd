"""An application with plugins of strangers, which are brought up to date while it serves."""
