"""What a benchmark says: tables, files, a picture, a verdict, a film."""
