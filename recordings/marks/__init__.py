"""What reviewers write down while they watch: notes at a moment, and clips, which are ranges of a recording and no files."""
