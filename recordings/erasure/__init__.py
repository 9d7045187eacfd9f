"""Erasing a recording before its day, because somebody asked for it (policy: RE2, RE3; UK GDPR Article 17)."""
