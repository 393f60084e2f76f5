"""What is to be told to people, and its delivery."""
