"""Replies before it is asked, with numbers that it guesses and with none.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

for number in ("", "0" * 16, "f" * 16):
    write(frame(json.dumps({"reply": number, "status": "done", "tensors": []}).encode()))
