"""The pages of lessons. The lesson's own page comes last: its address would otherwise take `/lessons/plan` and others."""

from lessons.pages import calendar, change, day, lesson, plan, waiting, words

ROUTERS = tuple(part.router for part in (day, plan, waiting, words, calendar, change, lesson))
