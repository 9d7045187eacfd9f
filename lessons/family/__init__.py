"""What a family's phone is told about lessons: messages, data used, who sits beside a one-to-one. For families alone."""
