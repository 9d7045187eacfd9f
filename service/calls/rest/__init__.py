"""A hosted provider over REST: it rings two telephones from the school's number, and bridges them when told (policy: CM4)."""
