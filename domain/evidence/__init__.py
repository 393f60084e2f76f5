"""What the signed log binds of rows, and how a row is held against it. No I/O here.

For each thing one file: `*_facts` are what its receipt signs of it, `*_differs` names the columns that say something
else than what was signed. Older receipts bind less: what they do not speak of is not compared
(docs/explanation/integrity.md lists it).
"""
