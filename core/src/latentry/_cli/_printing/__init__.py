"""What people and programs see: messages, listings, progress and previews, on streams of any encoding."""
