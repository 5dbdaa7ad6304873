"""Word lists and the WordNet files that the rules read: data, not code."""
