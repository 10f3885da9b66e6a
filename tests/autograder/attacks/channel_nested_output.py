"""Sends outputs nested to every depth, one of which may be just too deep for what comes after.

Exercise: kl_normal
Outcome: graded or tampered
Prelude: wire
"""

for depth in range(10, 1000, 30):
    nested = b"[" * depth + b"]" * depth
    write(
        frame(
            b'{"output": "display_data", "content": {"data": {"application/json": %s}, "metadata": {"a": %s}}}'
            % (nested, nested)
        )
    )
