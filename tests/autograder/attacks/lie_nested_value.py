"""Gives back lists, nested as deeply as a header can be.

Exercise: kl_normal
Outcome: graded or tampered
Prelude: wire
"""


def deep(header, body):
    number, nested = header["reply"], b'["list",' * 300 + b'["none"]' + b"]" * 300
    text = b'{"reply": "%s", "status": "returned", "tensors": [], "value": %s}' % (number.encode(), nested)
    write(frame(text))
    return {"output": "nothing", "content": {}}, b""


lie(deep)
