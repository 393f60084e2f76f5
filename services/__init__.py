"""The use cases. `Services` is the one object that API, bot and Mini App are handed."""
