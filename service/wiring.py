"""Who reacts to what, on one screen. The only importer of both ends."""

from service.foundation.bus import Subscribers

SUBSCRIBERS = Subscribers(in_transaction={}, after_commit={})
