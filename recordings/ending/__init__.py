"""The end of a recording: kept until its day, held where two people say so, then destroyed with proof (policy: RE2, RE3, RE5)."""
