"""`/admin/`: the pages on which a business's staff works."""
