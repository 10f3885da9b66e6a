"""Says that networks were changed that it was not given.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""

claim(changes={"tensors": [], "networks": [[True, ["none"]]] * 5, "optimizers": [[]], "generators": []})
