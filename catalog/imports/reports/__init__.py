"""What people read of an import; nothing here changes anything."""
