"""Has a thread that replies later, again and again, to whatever was asked last.

Exercise: kl_normal
Outcome: graded or tampered
Prelude: wire
"""

import threading
import time

numbers = []
honest = student._channel.receive


def receive(*a):
    header, body = honest(*a)
    numbers.append(header["id"])
    return header, body


def go_on():
    while True:
        time.sleep(0.01)
        for number in numbers[-2:]:
            write(frame(json.dumps({"reply": number, "status": "done", "tensors": []}).encode()))


student._channel.receive = receive
threading.Thread(target=go_on, daemon=True).start()
