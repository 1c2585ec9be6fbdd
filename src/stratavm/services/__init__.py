"""What programs around the machine are made with: wiring, life cycles, async listeners and recordings of events."""
