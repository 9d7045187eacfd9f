"""Who was in a lesson, from when to when: derived from the room's journal, never typed in (policy: RL9, invariant I10)."""
