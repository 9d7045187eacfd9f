"""The live lesson: a pure room, a host that performs its effects, a socket that carries its messages."""
