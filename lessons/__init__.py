"""Planning, rosters, attendance, and the live room."""
