"""Texts of others, made fit to stand in ours; pure."""


def harmless(text: str, *, keep: str = "") -> str:
    r"""Write what is no visible character as an escape (`\x1b`, `\u202e`), so that no terminal obeys it.

    That holds for control characters, and for those that turn the direction of writing or show nothing at all.
    `keep` are the ones that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
