"""The pages of masked calling: calling and recording, the register, personal telephones, an emergency, the office's numbers."""

from service.calls.pages import calling, emergency, office, phones, register

ROUTERS = (register.router, emergency.router, phones.router, office.router, calling.router)
"""Those with an id in their address come last."""
