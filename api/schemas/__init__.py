"""What the API takes and answers, as types: the one source of parsing, of answers and of the OpenAPI document."""
