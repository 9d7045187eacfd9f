"""The acceptable use agreement: its versions, who has signed, and the door that opens once it is signed (policy: CO1, CO5)."""
