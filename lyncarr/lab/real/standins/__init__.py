"""What a real PowerShell lacks away from Windows: stand-ins for IIS, and the files that they work on."""
