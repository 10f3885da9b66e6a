"""Small, checked implementations of the models in the book.

Each module carries the symbols of the lecture (``x0, xt, t, T, eps, mu, logvar, z, logits``; the table in
``book/reference/notation.md`` is the law) and three habits:

- noise is an argument: a function that needs randomness takes ``eps`` or a ``generator``;
- losses are in nats, summed over the data's dimensions, one per example, of shape ``(B,)``;
- bad input raises a ``ValueError`` that names the argument, what came and what was expected.
"""
