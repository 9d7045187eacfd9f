"""The agreement as it ships: what a new school begins with, and may change (policy: CO1, CO6)."""

from consent.agreements.rules import Audience

WATCHED = "What I do in Chaperone is recorded and checked."
DEFAULTS = {
    Audience.STAFF: (
        "I use my school account only, and nobody else uses it. I am never alone with a child in a lesson unless a senior leader "
        "has approved exactly that. I record and photograph nothing on personal equipment. Every lesson is recorded, so that it "
        "can be checked. I tell the safeguarding team of anything that worries me, at once. What I learn about children and "
        f"families stays at school. {WATCHED}"
    ),
    Audience.GOVERNORS: (
        "I use my school account only, and nobody else uses it. What I learn here stays here. I am in no lesson and watch no "
        f"recording. I record and photograph nothing. {WATCHED}"
    ),
    Audience.PUPILS: (
        "1. I use my own badge. I keep my PIN secret. 2. I wear clothes I could wear to school. I do not sit in my bedroom "
        "if I can help it. 3. I am kind, and kind in chat. 4. I do not take photos or record. 5. Lessons are recorded. "
        "Grown-ups at school can check them to keep us safe. 6. If something worries me I press I'm worried, or tell a "
        "grown-up I trust. 7. I can leave if I feel unsafe. I will not be in trouble for that."
    ),
    Audience.PARENTS: (
        "I do not record or photograph lessons. I keep my sign-in to myself. I know that what is said near my child's microphone "
        "is recorded with the lesson. I tell the school if something worries me, or if who may decide for my child changes. "
        f"{WATCHED}"
    ),
    Audience.GUESTS: (
        "I am here for one purpose and one time. I am never alone with a child. I record and photograph nothing. I tell whoever "
        f"invited me, or the safeguarding team, of anything that worries me. {WATCHED}"
    ),
}
