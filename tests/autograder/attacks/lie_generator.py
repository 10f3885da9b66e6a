"""Says that torch's generator is in a state in which it reads past the end of its table.

Exercise: kl_normal
Outcome: tampered
Prelude: wire
"""


def alter(header, body):
    state = bytearray(torch.default_generator.get_state().numpy().tobytes())
    struct.pack_into("=iiQ", state, 8, 600, 1, 624)
    header["tensors"].append({"dtype": "uint8", "shape": [len(state)], "requires_grad": False, "parameter": False})
    header["changes"]["generators"] = [len(header["tensors"]) - 1]
    return header, body + bytes(state)


lie(alter)
