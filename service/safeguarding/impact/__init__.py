"""The impact assessment (DPIA): written from what is really kept, approved by the Data Protection Officer (policy: AC5)."""
