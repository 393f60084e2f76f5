"""The commands of `pilot`. Nothing heavy is imported until one needs it."""
