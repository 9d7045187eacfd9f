"""What governors read: a term of the school in numbers that name nobody."""
