"""What families are told about who watched a recording of their child: nothing that a concern, a hold or the police hide."""
