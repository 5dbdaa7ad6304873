"""Text: scene-graph parser, WordNet and the label system; the only room that knows spaCy, NLTK."""
