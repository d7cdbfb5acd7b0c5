"""What every Headrace service shares: the words, the facts, the inbox loop and the AWS adapters."""
