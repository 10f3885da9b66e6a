"""Sends outputs in which everything is of another type than it should be.

Exercise: kl_normal
Outcome: graded
Prelude: wire
"""

ODD = ["null", "NaN", "-1e999", "true", "[]", "{}", '""', '"\\ud800"', "9" * 4000, '[[["x"]]]', '{"a": {"b": NaN}}']
KINDS = ["stream", "error", "display_data", "execute_result", "update_display_data", "clear_output", "input", "\\u0000"]
for kind in KINDS:
    for odd in ODD:
        for text in (
            odd,
            '{"name": %s, "text": %s}' % (odd, odd),
            '{"name": "stdout", "text": %s, "wait": %s}' % (odd, odd),
            '{"ename": %s, "evalue": "x", "traceback": [%s]}' % (odd, odd),
            '{"data": {"text/html": %s, "a/b+json": %s}, "metadata": %s, "execution_count": %s}' % ((odd,) * 4),
            '{"data": {"text/plain": "x"}, "metadata": {}, "execution_count": -1, "transient": %s}' % odd,
        ):
            if text.startswith("{"):
                write(frame(b'{"output": "%s", "content": %s}' % (kind.encode(), text.encode())))
