"""The chat words of a school that has not set its own (policy: IN6). Small on purpose: each school knows its pupils.

What is here stops a message for staff to see; it accuses nobody. A change to it is a new VERSION. Phrases are matched as
whole words in plain letters (see `chat`), so endings are listed where they matter.
"""

VERSION = "default-1"

SWEARING = (
    "arsehole", "asshole", "bastard", "bastards", "bitch", "bitches", "bollocks", "bullshit", "crap", "cunt", "cunts",
    "dickhead", "f ck", "fck", "fuck", "fucked", "fucker", "fucking", "motherfucker", "piss off", "sh t", "shit", "sht",
    "shitty", "slag", "slut", "stfu", "twat", "wanker", "whore", "wtf",
)
UNKIND = (
    "go die", "hope you die", "kill urself", "kill your self", "kill yourself", "kys", "nobody likes you", "no one likes you",
    "retard", "retarded", "you are ugly", "you should die", "youre ugly", "fat pig", "i hate you", "loser",
)
OUT_OF_SIGHT = (
    "add me on", "are you alone", "are your parents home", "come off camera", "delete this chat", "delete your messages",
    "do not tell anyone", "dont tell anyone", "dont tell your mum", "dont tell your dad", "dont tell your parents", "dm me",
    "follow me on", "insta", "instagram", "keep it secret", "keep this secret", "message me on", "my number is", "our secret",
    "send a pic", "send me a pic", "send me a picture", "send nudes", "nudes", "snapchat", "tiktok", "telegram", "text me on",
    "what is your address", "what is your number", "whats your address", "whats your insta", "whats your number",
    "whats your snap", "whatsapp", "where do you live",
)
NOT_SAFE = (
    "cut myself", "cutting myself", "hurt myself", "hurting myself", "kill myself", "want to die", "wanna die", "end my life",
    "suicide", "hits me", "touches me", "scared to go home", "afraid to go home",
)
"""Whatever list a school has: these are held as well, and the safeguarding team is told at once (policy: RC1)."""

PHRASES = SWEARING + UNKIND + OUT_OF_SIGHT
