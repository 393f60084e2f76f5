"""Tools, tool servers, knowledge, and the operators that use them."""
