"""Functions of a user's, for verifier=python."""

import os
import time


def judged_by_words(question: str, answer: str, gold: str | None) -> object:
    if answer == "raise":
        raise ZeroDivisionError("by the user")
    if answer == "hang":
        time.sleep(600)
    if answer == "die":
        os._exit(3)
    if answer == "decline":
        return None
    if answer == "nonsense":
        return "very good"
    if answer.startswith("grade"):
        return len(answer) / 2
    return f"{question}: {gold}" == answer
