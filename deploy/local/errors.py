"""Why the local runner gives up: always what is wrong, and what to do about it."""


class CannotStart(Exception):
    """Something that a person has to put right. `remedy` says how, in one sentence."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n{remedy}")
        self.problem = problem
        self.remedy = remedy
