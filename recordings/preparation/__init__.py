"""What is made of a recording after its lesson: when each person spoke, and small pictures of every camera and screen."""
