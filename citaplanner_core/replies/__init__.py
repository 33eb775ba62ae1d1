"""What a client's answer means, and what it does."""
