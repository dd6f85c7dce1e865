"""What the scenarios share: a node, its clients, packages, and the traces that a node may not leave."""
