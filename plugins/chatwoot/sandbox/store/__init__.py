"""What the stand-in remembers: records, the state that holds them, the start-up content."""
