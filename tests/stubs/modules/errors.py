"""A stub of modules.errors that remembers what the host would print."""

reports: list[str] = []


def report(message: str, *, exc_info: bool = False) -> None:
    """As the host's: tell, and go on."""
    reports.append(message)
