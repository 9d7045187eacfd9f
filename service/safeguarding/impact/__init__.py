"""The impact assessment (DPIA): written from what the service really keeps, approved by the Data Protection Officer (policy: AC5)."""
