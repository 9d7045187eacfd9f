"""Children who do not come to their lessons: who has to be contacted by when, and who was (policy: RC2)."""
